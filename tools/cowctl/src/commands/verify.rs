//! `cowctl verify`: reads and checks what is stored.

use cow_api::v1::{Job, Verify, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{DETACH, Session};
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;

const DATASET: Flag = Flag {
    short: None,
    long: "dataset",
    value: Some("DATASET[@SNAPSHOT]"),
    about: "The same as naming it without the flag",
};

pub const COMMAND: Command = Command {
    name: "verify",
    about: "Read and check everything that is stored, or what one dataset or snapshot holds",
    operands: "[DATASET[@SNAPSHOT]]",
    count: 0..=1,
    flags: &[DATASET, DETACH],
    more: "References are counted as well where everything is read. Exits with 10 when something is damaged.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let of = match (given.operands.first(), given.value("dataset")) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "verify: two datasets are named",
                "name one of them, or none for all that is stored",
            ));
        }
        (operand, flag) => operand.map(String::as_str).or(flag).map(str::to_owned),
    };
    let job: Job = session.client.post(path::VERIFICATIONS, &Verify { of })?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}
