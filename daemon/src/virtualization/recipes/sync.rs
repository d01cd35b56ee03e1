//! Sync: new data arrives at a dSource, and a snapshot is taken of it.

use serde_json::Value;

use crate::plugins::{Call, Operation};
use crate::service::Answer;
use crate::state::Edit;
use crate::virtualization::records::{HookPoint, Kind, Timeflow};
use crate::virtualization::run::Run;

/// Syncs a dSource, with these parameters. Returns the snapshot's full name.
pub fn sync(mut run: Run<'_>, parameters: Option<Value>) -> Answer<String> {
    let timeflow = run.timeflow()?;
    let (name, data) = bring(&mut run, &timeflow.record, parameters)?;
    remember(&run, timeflow.id, &name, &data)?;
    Ok(name)
}

/// Makes a snapshot that was taken the truth, with what has become of the dSource.
pub fn remember(run: &Run<'_>, timeflow: u64, name: &str, data: &Value) -> Answer<()> {
    let point = run.point(timeflow, name, data)?;
    let change = |edit: &Edit<'_>| {
        edit.insert(&point)?;
        edit.update(run.id, &run.source)
    };
    run.job.journal.commit(change, Vec::new())
}

/// Brings data and takes a snapshot: its full name, and what the plugin says of it.
pub fn bring(run: &mut Run<'_>, timeflow: &Timeflow, parameters: Option<Value>) -> Answer<(String, Value)> {
    if run.source.kind == Kind::Staged {
        let (mounts, owner) = run.specification()?;
        if mounts != run.source.mounts {
            run.unmount(&timeflow.dataset)?;
            run.mount(&timeflow.dataset, &mounts, owner)?;
            run.source.mounts = mounts;
        }
        if !run.source.is_enabled {
            run.promise_shut_down()?;
        }
    }
    let points = (HookPoint::PreSync, HookPoint::PostSync);
    run.between(points, |run| taken(run, &timeflow.dataset, parameters))
}

fn taken(run: &Run<'_>, dataset: &str, parameters: Option<Value>) -> Answer<(String, Value)> {
    run.call_if(Operation::LinkedPreSnapshot, || {
        let linked = run.linked(&run.source.mounts)?;
        Ok(Call::LinkedPreSnapshot { linked, snapshot_parameters: parameters.clone() })
    })?;
    let name = run.snapshot(dataset)?;
    let linked = run.linked(&run.source.mounts)?;
    let data = run.definition(Call::LinkedPostSnapshot { linked, snapshot_parameters: parameters })?;
    Ok((name, data))
}
