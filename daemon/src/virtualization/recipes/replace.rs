//! Refresh and rewind: a VDB gets the content of another snapshot, on a timeflow of its own. The old one is kept.

use serde_json::Value;

use crate::clock;
use crate::plugins::Call;
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::recipes::snapshot::take;
use crate::virtualization::records::{HookPoint, Timeflow, Why};
use crate::virtualization::run::Run;

/// Gives a VDB the content of a snapshot of what it was provisioned from: its full name, and what its plugin said of it.
/// Returns the new timeflow's first snapshot.
pub fn refresh(run: Run<'_>, snapshot: &str, data: Value) -> Answer<String> {
    run.hook(HookPoint::PreRefresh)?;
    replace(run, Why::Refresh, snapshot, data)
}

/// Gives a VDB the content of a snapshot of its own. Snapshots that came later stay, on the timeflow that they are of.
pub fn rewind(run: Run<'_>, snapshot: &str, data: Value) -> Answer<String> {
    run.hook(HookPoint::PreRollback)?;
    replace(run, Why::Rewind, snapshot, data)
}

fn replace(mut run: Run<'_>, why: Why, snapshot: &str, data: Value) -> Answer<String> {
    let old = run.timeflow()?.record.dataset;
    run.job.journal.promise(Act::Revive { source: run.id })?;
    run.unconfigure()?;
    run.unmount(&old)?;
    let timeflow = next_timeflow(&run, why, snapshot)?;
    run.step(format!("clone {snapshot} as {}", timeflow.dataset))?;
    run.job.journal.promise(Act::Destroy { name: timeflow.dataset.clone() })?;
    run.job.on.store.clone_snapshot(snapshot, &timeflow.dataset)?;
    let (mounts, owner) = run.specification()?;
    run.mount(&timeflow.dataset, &mounts, owner)?;
    run.source.mounts = mounts;
    run.put_in_use(|run| {
        let call = match why {
            Why::Rewind => Call::VirtualReconfigure { of: run.as_virtual(&run.source.mounts)?, snapshot: data },
            _ => {
                let (source, repository) = (run.virtual_source(&run.source.mounts)?, run.repository());
                Call::VirtualConfigure { source, repository, snapshot: data }
            }
        };
        run.definition(call).map(Some)
    })?;
    if why == Why::Refresh {
        run.hook(HookPoint::ConfigureClone)?;
    }
    let (name, data) = take(&run, &timeflow.dataset)?;
    run.hook(if why == Why::Rewind { HookPoint::PostRollback } else { HookPoint::PostRefresh })?;
    commit(run, timeflow, &name, &data, old)?;
    Ok(name)
}

fn commit(run: Run<'_>, timeflow: Timeflow, name: &str, data: &Value, old: String) -> Answer<()> {
    let mut source = run.source.clone();
    // Nobody mounts what is history.
    let afterwards = vec![Act::Share { dataset: old, hosts: Vec::new(), root_squash: true }];
    run.job.journal.commit(
        |edit| {
            let id = edit.insert(&timeflow)?;
            source.timeflow = Some(id);
            edit.insert(&run.point(id, name, data)?)?;
            edit.update(run.id, &source)
        },
        afterwards,
    )
}

fn next_timeflow(run: &Run<'_>, why: Why, snapshot: &str) -> Answer<Timeflow> {
    let all = run.job.on.state.read(|view| view.owned::<Timeflow>(run.id))?;
    let mut ordinal = all.iter().map(|row| row.record.ordinal).max().unwrap_or(0) + 1;
    // A dataset that somebody else made there is not ours to destroy.
    while run.job.on.store.exists(&format!("{}/{ordinal}", run.source.folder()))? {
        ordinal += 1;
    }
    let (dataset, from) = (format!("{}/{ordinal}", run.source.folder()), Some(snapshot.to_owned()));
    Ok(Timeflow { source: run.id, ordinal, dataset, why, from, created: clock::time(clock::now()) })
}
