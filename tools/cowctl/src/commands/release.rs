//! `cowctl release`: ends a hold.

use cow_api::v1::{Snapshot, path};

use crate::arguments::{Command, Given};
use crate::commands::{Session, require_snapshot};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "release",
    about: "End a hold of a snapshot",
    operands: "DATASET@SNAPSHOT TAG",
    count: 2..=2,
    flags: &[],
    more: "",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (name, tag) = (&given.operands[0], &given.operands[1]);
    require_snapshot(&COMMAND, name)?;
    let snapshot: Snapshot = session.client.delete(&path::hold(name, tag))?;
    session.output.result("snapshot", &snapshot, || {
        let left = snapshot.holds.join(", ");
        let left = if left.is_empty() { String::new() } else { format!("; still held for {left}") };
        session.output.line(&format!("Released {name} from {tag}{left}"))
    })
}
