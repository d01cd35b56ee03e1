//! `cowctl snapshot`: takes snapshots.

use cow_api::v1::{NewSnapshot, Snapshots, TakeSnapshots, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{DATASETS_BELOW, Session, require_snapshot};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "snapshot",
    about: "Take snapshots",
    operands: "DATASET[@NAME]...",
    count: 1..=usize::MAX,
    flags: &[Flag { short: Some('r'), long: "recursive", value: None, about: DATASETS_BELOW }],
    more: "All are of the same instant. Without a name, a snapshot is named by the time.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let snapshots = given.operands.iter().map(|operand| {
        if !operand.contains('@') {
            return Ok(NewSnapshot { dataset: operand.clone(), name: None });
        }
        let (dataset, name) = require_snapshot(&COMMAND, operand)?;
        Ok(NewSnapshot { dataset: dataset.to_owned(), name: Some(name.to_owned()) })
    });
    let snapshots = snapshots.collect::<Result<Vec<_>, Failure>>()?;
    let request = TakeSnapshots { snapshots, recursive: given.has("recursive") };
    let taken: Snapshots = session.client.post(path::SNAPSHOTS, &request)?;
    session.output.result("snapshots", &taken, || {
        taken.snapshots.iter().try_for_each(|snapshot| session.output.line(&snapshot.name))
    })
}
