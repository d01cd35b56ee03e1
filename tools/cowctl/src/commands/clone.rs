//! `cowctl clone`: makes a writable dataset of a snapshot.

use cow_api::v1::{CloneSnapshot, Dataset, path};

use crate::arguments::{Command, Given};
use crate::commands::{PROPERTY, Session, properties, require_snapshot};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "clone",
    about: "Make a writable dataset of a snapshot",
    operands: "DATASET@SNAPSHOT NEW",
    count: 2..=2,
    flags: &[PROPERTY],
    more: "It takes no space until it is written, and has the snapshot's properties but for those that are set.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (snapshot, name) = (&given.operands[0], &given.operands[1]);
    require_snapshot(&COMMAND, snapshot)?;
    let request = CloneSnapshot { name: name.clone(), properties: properties(given.values("property"))? };
    let cloned: Dataset = session.client.post(&path::snapshot_verb(snapshot, "clone"), &request)?;
    session.output.result("dataset", &cloned, || {
        let share = cloned.share.as_ref().map_or_else(String::new, |share| format!(", shared as {share}"));
        session.output.line(&format!("Cloned {snapshot} to {}{share}", cloned.name))
    })
}
