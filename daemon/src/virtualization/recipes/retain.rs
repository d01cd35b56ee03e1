//! Retain: snapshots that a policy does not keep go, and timeflows that are over with their last one.

use cow_api::v1::JobLevel;

use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::act::Act;
use crate::virtualization::policies::{Plan, Policy};
use crate::virtualization::records::{Point, Timeflow};
use crate::virtualization::run::Run;

/// Removes what a retention policy does not keep of a source.
pub fn retain(run: Run<'_>, policy: &Policy) -> Answer<()> {
    run.step(format!("look what policy {} keeps", policy.name))?;
    let (on, row) = (run.job.on, Row { id: run.id, record: run.source.clone() });
    let (plan, needed) = loop {
        let needed = on.needed.lock().clone();
        let plan = on.plan(&row, policy, &needed)?;
        // Held until they are forgotten, so that no job begins to need what goes.
        let needed = on.needed.lock();
        if !plan.going().any(|point| needed.contains(&point.record.name)) {
            break (plan, needed);
        }
    };
    run.job.journal.commit(
        |edit| {
            plan.going().try_for_each(|point| edit.remove::<Point>(point.id))?;
            plan.over().iter().try_for_each(|flow| edit.remove::<Timeflow>(flow.id))
        },
        destroys(&plan),
    )?;
    drop(needed);
    for verdict in plan.shown().iter().filter(|verdict| !verdict.kept.is_empty()) {
        run.job.ticket.note(JobLevel::Debug, format!("{} stays: {}", verdict.snapshot, verdict.kept.join(", ")));
    }
    run.job.ticket.note(JobLevel::Info, plan.describe(&row.record.name));
    Ok(())
}

/// What is left to do: the snapshots of timeflows that are over go with them.
fn destroys(plan: &Plan) -> Vec<Act> {
    let is_over = |name: &str| plan.over().iter().any(|flow| name.starts_with(&format!("{}@", flow.record.dataset)));
    let snapshots = plan.going().map(|point| &point.record.name).filter(|name| !is_over(name));
    let datasets = plan.over().iter().map(|flow| &flow.record.dataset);
    snapshots.chain(datasets).map(|name| Act::Destroy { name: name.clone() }).collect()
}
