//! Snapshot: a VDB as it is now.

use serde_json::Value;

use crate::plugins::{Call, Operation};
use crate::service::Answer;
use crate::virtualization::records::HookPoint;
use crate::virtualization::run::Run;

/// Takes a snapshot of a VDB. Returns its full name.
pub fn snapshot(mut run: Run<'_>) -> Answer<String> {
    let timeflow = run.timeflow()?;
    let points = (HookPoint::PreSnapshot, HookPoint::PostSnapshot);
    let (name, data) = run.between(points, |run| take(run, &timeflow.record.dataset))?;
    let point = run.point(timeflow.id, &name, &data)?;
    run.job.journal.commit(|edit| edit.insert(&point).map(drop), Vec::new())?;
    Ok(name)
}

/// Takes a snapshot of a dataset: its full name, and what the plugin says of it.
pub fn take(run: &Run<'_>, dataset: &str) -> Answer<(String, Value)> {
    run.call_if(Operation::VirtualPreSnapshot, || Ok(Call::VirtualPreSnapshot(run.as_virtual(&run.source.mounts)?)))?;
    let name = run.snapshot(dataset)?;
    let data = run.definition(Call::VirtualPostSnapshot(run.as_virtual(&run.source.mounts)?))?;
    Ok((name, data))
}
