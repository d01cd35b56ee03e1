//! Provision: a VDB is made of a snapshot, or of nothing.

use serde_json::Value;

use crate::plugins::Call;
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::recipes::link::{create, first_timeflow};
use crate::virtualization::recipes::snapshot::take;
use crate::virtualization::records::{HookPoint, Why};
use crate::virtualization::run::Run;

/// Provisions a VDB whose name is reserved: of a snapshot, by its full name and what its plugin said of it, or empty.
/// Returns the VDB's first snapshot.
pub fn provision(mut run: Run<'_>, from: Option<(String, Value)>) -> Answer<String> {
    let why = if from.is_some() { Why::Provision } else { Why::Empty };
    let timeflow = first_timeflow(&run, why, from.as_ref().map(|(name, _)| name.clone()))?;
    match &from {
        None => create(&run, &timeflow.dataset)?,
        Some((snapshot, _)) => {
            run.step(format!("clone {snapshot} as {}", timeflow.dataset))?;
            run.job.journal.promise(Act::Destroy { name: run.source.folder() })?;
            run.job.on.store.create(&run.source.folder(), run.package.block_size())?;
            run.job.on.store.clone_snapshot(snapshot, &timeflow.dataset)?;
        }
    }
    let (mounts, owner) = run.specification()?;
    run.mount(&timeflow.dataset, &mounts, owner)?;
    run.source.mounts = mounts;
    run.put_in_use(|run| {
        let (source, repository) = (run.virtual_source(&run.source.mounts)?, run.repository());
        let call = match from {
            Some((_, snapshot)) => Call::VirtualConfigure { source, repository, snapshot },
            None => Call::VirtualInitialize { source, repository },
        };
        run.definition(call).map(Some)
    })?;
    run.hook(HookPoint::ConfigureClone)?;
    let (name, data) = take(&run, &timeflow.dataset)?;
    (run.source.is_made, run.source.is_enabled) = (true, true);
    let mut source = run.source.clone();
    run.job.journal.commit(
        |edit| {
            let id = edit.insert(&timeflow)?;
            source.timeflow = Some(id);
            edit.insert(&run.point(id, &name, &data)?)?;
            edit.update(run.id, &source)
        },
        Vec::new(),
    )?;
    Ok(name)
}
