//! `cowctl create`: makes a dataset.

use cow_api::v1::{CreateDataset, Dataset, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{PROFILE, PROPERTY, Session, profile, properties};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "create",
    about: "Create a dataset",
    operands: "DATASET",
    count: 1..=1,
    flags: &[
        Flag { short: None, long: "parents", value: None, about: "Create missing parents too" },
        PROFILE,
        PROPERTY,
    ],
    more: "A property that is given counts more than the profile. 'cowctl help set' lists the properties;\n\
           blocksize, 4K to 64K, can only be set here.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let request = CreateDataset {
        name: given.operands[0].clone(),
        parents: given.has("parents"),
        profile: profile(given)?,
        properties: properties(given.values("property"))?,
    };
    let dataset: Dataset = session.client.post(path::DATASETS, &request)?;
    session.output.result("dataset", &dataset, || {
        let share = dataset.share.as_ref().map_or_else(String::new, |share| format!(", shared as {share}"));
        session.output.line(&format!("Created {}{share}", dataset.name))
    })
}
