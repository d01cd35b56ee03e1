//! `cowctl undelete`: takes a destroy back.

use cow_api::v1::{Undelete, Undeleted, path};

use crate::arguments::{Command, Given};
use crate::commands::Session;
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "undelete",
    about: "Bring back what was destroyed",
    operands: "DATASET[@SNAPSHOT] [NEW]",
    count: 1..=2,
    flags: &[],
    more: "It comes back as NEW, where its old name is taken. 'cowctl list --destroyed' lists what can come back.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let request = Undelete { to: given.operands.get(1).cloned() };
    let undeleted: Undeleted = session.client.post(&path::undelete(&given.operands[0]), &request)?;
    session.output.result("undeleted", &undeleted, || session.output.line(&format!("Brought back {}", undeleted.name)))
}
