//! Start and stop: a VDB's programs, while its mounts stay.

use crate::plugins::{Call, Operation};
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::records::HookPoint;
use crate::virtualization::run::Run;

/// Starts a VDB.
pub fn start(run: Run<'_>) -> Answer<()> {
    run.hook(HookPoint::PreStart)?;
    let (mounts, owner) = run.specification()?;
    if mounts != run.source.mounts {
        // The plugin's mind has changed, as after an upgrade: mounted anew, it starts where it wants to be.
        let dataset = run.dataset()?;
        run.unmount(&dataset)?;
        run.mount(&dataset, &mounts, owner)?;
    }
    let mut source = run.source.clone();
    source.mounts = mounts;
    if source.is_stopped {
        run.job.journal.promise(Act::Stop { source: run.id })?;
    }
    run.call_if(Operation::VirtualStart, || Ok(Call::VirtualStart(run.as_virtual(&source.mounts)?)))?;
    run.hook(HookPoint::PostStart)?;
    source.is_stopped = false;
    run.job.journal.commit(|edit| edit.update(run.id, &source), Vec::new())
}

/// Stops a VDB.
pub fn stop(mut run: Run<'_>) -> Answer<()> {
    run.hook(HookPoint::PreStop)?;
    if !run.source.is_stopped {
        run.job.journal.promise(Act::Start { source: run.id })?;
    }
    run.call_if(Operation::VirtualStop, || Ok(Call::VirtualStop(run.as_virtual(&run.source.mounts)?)))?;
    run.hook(HookPoint::PostStop)?;
    run.source.is_stopped = true;
    run.job.journal.commit(|edit| edit.update(run.id, &run.source), Vec::new())
}
