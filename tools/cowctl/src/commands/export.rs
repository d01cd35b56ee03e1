//! `cowctl export`: writes a dataset or snapshot out as plain files.

use cow_api::v1::{Export, Job, path};

use crate::arguments::{Command, Given};
use crate::commands::{DETACH, Session, absolute_directory};
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;

pub const COMMAND: Command = Command {
    name: "export",
    about: "Write a dataset or snapshot out as plain files",
    operands: "DATASET[@SNAPSHOT] DIRECTORY",
    count: 2..=2,
    flags: &[DETACH],
    more: "The directory is one of the daemon's host, and must be empty or not there. Ctrl-C asks whether the\n\
           export goes on.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let request = Export { from: given.operands[0].clone(), to: absolute_directory(&given.operands[1])? };
    let job: Job = session.client.post(path::EXPORTS, &request)?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}
