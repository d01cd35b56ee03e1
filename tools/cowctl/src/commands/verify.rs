//! `cowctl verify`: reads and checks what is stored.

use cow_api::v1::{Job, Verify, path};

use crate::arguments::{Command, Given};
use crate::commands::{DETACH, Session};
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;

pub const COMMAND: Command = Command {
    name: "verify",
    about: "Read and check everything that is stored, or what one dataset or snapshot holds",
    operands: "[DATASET[@SNAPSHOT]]",
    count: 0..=1,
    flags: &[DETACH],
    more: "Exits with 10 when something is damaged.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let job: Job = session.client.post(path::VERIFICATIONS, &Verify { of: given.operands.first().cloned() })?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}
