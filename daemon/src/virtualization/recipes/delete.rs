//! Delete: a VDB or dSource is shut down, unmounted and destroyed, with all its timeflows.

use cow_api::v1::{JobLevel, Problem};

use crate::plugins::{Call, Operation};
use crate::service::Answer;
use crate::state::Edit;
use crate::virtualization::act::Act;
use crate::virtualization::policies::Policy;
use crate::virtualization::recipes::enable::take_out_of_use;
use crate::virtualization::records::{Bookmark, Fault, Hook, HookPoint, Point, Source, Timeflow};
use crate::virtualization::run::Run;

/// Deletes a source. With `force`, what its plugin, its hooks and its hosts cannot do is told and left.
pub fn delete(run: Run<'_>, force: bool) -> Answer<()> {
    if run.source.is_enabled {
        leave(&run, force)?;
    } else if run.source.is_virtual() {
        run.call_if(Operation::VirtualCleanup, || Ok(Call::VirtualCleanup(run.as_virtual(&[])?)))
            .or_else(|problem| passed_over(&run, force, problem))?;
    }
    let (id, folder) = (run.id, run.source.folder());
    let mut afterwards: Vec<Act> = Vec::new();
    for mounted in run.source.mounts.iter().filter(|_| force && run.source.is_enabled) {
        afterwards.push(Act::Unmount { mounted: mounted.clone(), dataset: run.dataset()? });
    }
    afterwards.push(Act::Destroy { name: folder });
    // The last moment to think better of it.
    run.step(format!("forget {}", run.source.name))?;
    run.job.journal.commit(
        |edit| {
            edit.remove_owned::<Point>(id)?;
            edit.remove_owned::<Timeflow>(id)?;
            edit.remove_owned::<Hook>(id)?;
            // Of a snapshot that somebody destroyed in spite of it: others keep the source.
            let mut bookmarks = edit.all::<Bookmark>()?.into_iter().filter(|row| row.record.source == id);
            bookmarks.try_for_each(|row| edit.remove::<Bookmark>(row.id))?;
            forget_in_policies(edit, id, &run.source.name)?;
            edit.remove::<Source>(id)
        },
        afterwards,
    )
}

/// Shuts it down and unmounts it.
fn leave(run: &Run<'_>, force: bool) -> Answer<()> {
    let dataset = run.dataset()?;
    let hook = |at| if run.source.is_virtual() { run.hook(at) } else { Ok(()) };
    let passed = |problem| passed_over(run, force, problem);
    hook(HookPoint::PreStop).or_else(passed)?;
    take_out_of_use(run).or_else(passed)?;
    if run.source.is_virtual() {
        let cleanup = || Ok(Call::VirtualCleanup(run.as_virtual(&run.source.mounts)?));
        run.call_if(Operation::VirtualCleanup, cleanup).or_else(passed)?;
    }
    hook(HookPoint::PostStop).or_else(passed)?;
    run.unmount(&dataset).or_else(passed)
}

fn forget_in_policies(edit: &Edit<'_>, source: u64, name: &str) -> Answer<()> {
    for mut row in edit.all::<Policy>()?.into_iter().filter(|row| row.record.sources.contains(&source)) {
        row.record.sources.retain(|applied| *applied != source);
        row.record.pending.retain(|applied| *applied != source);
        if let Some(fault) = edit.find::<Fault>(0, &row.record.fault(name))? {
            edit.remove::<Fault>(fault.id)?;
        }
        edit.update(row.id, &row.record)?;
    }
    Ok(())
}

fn passed_over(run: &Run<'_>, force: bool, problem: Problem) -> Answer<()> {
    if !force || (run.job.is_cancelled)() {
        return Err(problem);
    }
    run.job.ticket.note(JobLevel::Error, format!("passed over, as it was forced: {}", problem.detail));
    Ok(())
}
