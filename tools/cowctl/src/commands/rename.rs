//! `cowctl rename`: gives a dataset or snapshot another name.

use cow_api::v1::{Dataset, Rename, Snapshot, path};

use crate::arguments::{Command, Given};
use crate::commands::{Session, require_snapshot};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "rename",
    about: "Rename a dataset or snapshot",
    operands: "DATASET[@SNAPSHOT] NEW",
    count: 2..=2,
    flags: &[],
    more: "A snapshot stays with its dataset: its new name is NEW, @NEW or DATASET@NEW.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (name, to) = (&given.operands[0], &given.operands[1]);
    if !name.contains('@') {
        let renamed: Dataset = session.client.post(&path::dataset_verb(name, "rename"), &Rename { to: to.clone() })?;
        return session.output.result("dataset", &renamed, || told(session, name, &renamed.name));
    }
    let (dataset, _) = require_snapshot(&COMMAND, name)?;
    let to = match to.split_once('@') {
        None => to.as_str(),
        Some((other, to)) if other.is_empty() || other == dataset => to,
        Some(_) => {
            let problem = format!("'{name}' cannot leave its dataset for '{to}'");
            return Err(Failure::usage(problem, "'cowctl clone' makes a dataset of it"));
        }
    };
    let request = Rename { to: to.to_owned() };
    let renamed: Snapshot = session.client.post(&path::snapshot_verb(name, "rename"), &request)?;
    session.output.result("snapshot", &renamed, || told(session, name, &renamed.name))
}

fn told(session: &Session<'_>, from: &str, to: &str) -> Result<(), Failure> {
    session.output.line(&format!("Renamed {from} to {to}"))
}
