//! Link: a dSource is made and synced for the first time.

use cow_api::v1::{Code, Problem};
use serde_json::Value;

use crate::clock;
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::recipes::sync::{bring, remember};
use crate::virtualization::records::{Timeflow, Why};
use crate::virtualization::run::Run;

/// Links a dSource whose name is reserved, and syncs it with these parameters. Returns the first snapshot's full name.
pub fn link(mut run: Run<'_>, parameters: Option<Value>) -> Answer<String> {
    let timeflow = first_timeflow(&run, Why::Link, None)?;
    create(&run, &timeflow.dataset)?;
    // Where data that the plugin fetches goes.
    let id = run.job.on.state.write(|edit| edit.insert(&timeflow))?;
    run.source.timeflow = Some(id);
    let (name, data) = bring(&mut run, &timeflow, parameters)?;
    (run.source.is_made, run.source.is_enabled) = (true, true);
    remember(&run, id, &name, &data)?;
    Ok(name)
}

/// The first timeflow of a source.
pub fn first_timeflow(run: &Run<'_>, why: Why, from: Option<String>) -> Answer<Timeflow> {
    let dataset = format!("{}/1", run.source.folder());
    if run.job.on.store.exists(&run.source.folder())? {
        let detail = format!("there is a dataset {} already", run.source.folder());
        return Err(
            Problem::new(Code::Exists, detail).with_hint("take another name, or rename or destroy that dataset")
        );
    }
    Ok(Timeflow { source: run.id, ordinal: 1, dataset, why, from, created: clock::time(clock::now()) })
}

/// Makes a source's first dataset, with nothing in it.
pub fn create(run: &Run<'_>, dataset: &str) -> Answer<()> {
    run.step(format!("create {dataset}"))?;
    run.job.journal.promise(Act::Destroy { name: run.source.folder() })?;
    run.job.on.store.create(dataset, run.package.block_size())
}
