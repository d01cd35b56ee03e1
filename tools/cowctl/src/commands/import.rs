//! `cowctl import`: reads a directory of the host into a dataset.

use cow_api::v1::{Import, Job, path};

use crate::arguments::{Command, Given};
use crate::commands::{DETACH, PROFILE, PROPERTY, Session, absolute_directory, profile, properties};
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;

pub const COMMAND: Command = Command {
    name: "import",
    about: "Read a directory of the host into a dataset",
    operands: "DIRECTORY DATASET",
    count: 2..=2,
    flags: &[PROFILE, PROPERTY, DETACH],
    more: "The dataset is made where there is none, with the profile and the properties; afterwards it has the\n\
           directory's content and nothing else. Only what differs is stored again. The directory is one of the\n\
           daemon's host. Ctrl-C asks whether the import goes on.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let request = Import {
        from: absolute_directory(&given.operands[0])?,
        dataset: given.operands[1].clone(),
        profile: profile(given)?,
        properties: properties(given.values("property"))?,
    };
    let job: Job = session.client.post(path::IMPORTS, &request)?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}
