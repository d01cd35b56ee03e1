//! `cowctl hold`: keeps a snapshot from being destroyed.

use cow_api::v1::{Snapshot, path};

use crate::arguments::{Command, Given};
use crate::commands::{Session, require_snapshot};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "hold",
    about: "Keep a snapshot from being destroyed",
    operands: "DATASET@SNAPSHOT TAG",
    count: 2..=2,
    flags: &[],
    more: "It is kept until every tag is released. 'cowctl get DATASET@SNAPSHOT holds' lists them.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (name, tag) = (&given.operands[0], &given.operands[1]);
    require_snapshot(&COMMAND, name)?;
    let snapshot: Snapshot = session.client.put(&path::hold(name, tag))?;
    session.output.result("snapshot", &snapshot, || session.output.line(&format!("Holding {name} for {tag}")))
}
