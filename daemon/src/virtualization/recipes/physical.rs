//! Virtual to physical: a snapshot is copied to a host as plain files.

use serde_json::Value;

use crate::plugins::{Call, Operation, PhysicalSource};
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::records::Place;
use crate::virtualization::run::Run;

/// Copies a snapshot, by its full name and what its plugin said of it, to a directory of a host.
pub fn physical(
    run: Run<'_>,
    snapshot: &(String, Value),
    to: &Place,
    directory: &str,
    parameters: Value,
) -> Answer<()> {
    let on = run.job.on;
    let physical = PhysicalSource {
        guid: run.source.guid.clone(),
        connection: on.ground.connection(to)?,
        target_directory: directory.to_owned(),
        parameters,
    };
    let (is_virtual, data) = (run.source.is_virtual(), &snapshot.1);
    let (before, after) = match is_virtual {
        true => (Operation::VirtualPreSourceToPhysical, Operation::VirtualSourceToPhysical),
        false => (Operation::LinkedPreSourceToPhysical, Operation::LinkedSourceToPhysical),
    };
    let call = |operation: Operation| -> Answer<Call> {
        let (snapshot, physical) = (data.clone(), physical.clone());
        let of = || run.as_virtual(&run.source.mounts);
        let linked = || run.linked(&run.source.mounts);
        Ok(match operation {
            Operation::VirtualPreSourceToPhysical => Call::VirtualPreSourceToPhysical { of: of()?, snapshot, physical },
            Operation::VirtualSourceToPhysical => Call::VirtualSourceToPhysical { of: of()?, snapshot, physical },
            Operation::LinkedPreSourceToPhysical => {
                Call::LinkedPreSourceToPhysical { linked: linked()?, snapshot, physical }
            }
            _ => Call::LinkedSourceToPhysical { linked: linked()?, snapshot, physical },
        })
    };
    run.call_if(before, || call(before))?;
    let path = on.scratch.join(format!("physical-{}", run.job.ticket.id()));
    run.step(format!("copy {} to {directory}", snapshot.0))?;
    run.job.journal.promise(Act::UnmountHere { path: path.clone() })?;
    on.store.mount_here(&snapshot.0, &path)?;
    let copied = on.ground.push(&path, to, directory, run.job.is_cancelled);
    on.store.unmount_here(&path)?;
    copied?;
    run.call_if(after, || call(after))?;
    run.job.journal.commit(|_| Ok(()), Vec::new())
}
