//! Enable and disable: a source is mounted and in use, or mounted nowhere.

use cow_api::v1::JobLevel;

use crate::plugins::{Call, Operation, Status};
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::records::{HookPoint, Kind};
use crate::virtualization::run::Run;

/// Mounts a source on its hosts and puts it in use.
pub fn enable(mut run: Run<'_>) -> Answer<()> {
    let dataset = run.dataset()?;
    if run.source.kind == Kind::Virtual && is_active(&run)? {
        // It can be no more than something of it: a source that is not in use is mounted nowhere.
        run.job.ticket.note(JobLevel::Error, "the plugin says that it is active, but it is not mounted");
    }
    extended(&run, HookPoint::PreStart)?;
    let (mounts, owner) = run.specification()?;
    run.mount(&dataset, &mounts, owner)?;
    run.source.mounts = mounts;
    put_in_use(&mut run)?;
    extended(&run, HookPoint::PostStart)?;
    run.source.is_enabled = true;
    run.job.journal.commit(|edit| edit.update(run.id, &run.source), Vec::new())
}

/// Asks the plugin, as the contract has it.
fn is_active(run: &Run<'_>) -> Answer<bool> {
    if !run.package.has(Operation::VirtualStatus) {
        return Ok(false);
    }
    let status = run.call(Call::VirtualStatus(run.as_virtual(&run.source.mounts)?))?.status();
    status.map(|status| status == Status::Active).map_err(|failure| failure.problem(&run.source.name))
}

fn put_in_use(run: &mut Run<'_>) -> Answer<()> {
    match run.source.kind {
        Kind::Direct => Ok(()),
        Kind::Staged => run.put_in_use(|run| {
            let call = || Ok(Call::LinkedStartStaging(run.linked(&run.source.mounts)?));
            run.call_if(Operation::LinkedStartStaging, call).map(|()| None)
        }),
        Kind::Virtual => run.put_in_use(|run| {
            let (of, snapshot) = (run.as_virtual(&run.source.mounts)?, run.newest_data()?);
            run.definition(Call::VirtualReconfigure { of, snapshot }).map(Some)
        }),
    }
}

/// Shuts a source down and unmounts it from its hosts.
pub fn disable(mut run: Run<'_>) -> Answer<()> {
    let dataset = run.dataset()?;
    extended(&run, HookPoint::PreStop)?;
    take_out_of_use(&run)?;
    run.unmount(&dataset)?;
    extended(&run, HookPoint::PostStop)?;
    run.source.is_enabled = false;
    run.source.mounts.clear();
    let afterwards = vec![Act::Share { dataset, hosts: Vec::new(), root_squash: true }];
    run.job.journal.commit(|edit| edit.update(run.id, &run.source), afterwards)
}

/// Has the plugin shut a source down, and promises to put it in use again.
pub fn take_out_of_use(run: &Run<'_>) -> Answer<()> {
    if run.source.kind != Kind::Direct {
        run.job.journal.promise(Act::Revive { source: run.id })?;
    }
    match run.source.kind {
        Kind::Direct => Ok(()),
        Kind::Staged => {
            run.call_if(Operation::LinkedStopStaging, || Ok(Call::LinkedStopStaging(run.linked(&run.source.mounts)?)))
        }
        Kind::Virtual => run.unconfigure(),
    }
}

/// Hooks of start and stop run here too, where the plugin says so.
fn extended(run: &Run<'_>, at: HookPoint) -> Answer<()> {
    if run.source.is_virtual() && run.package.extended_start_stop_hooks { run.hook(at) } else { Ok(()) }
}
