//! `cowctl create`: makes a dataset.

use cow_api::v1::{CreateDataset, Dataset, RootDirectory, path};

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
        Flag { short: None, long: "owner", value: Some("UID[:GID]"), about: "Who owns its root directory (0:0)" },
        Flag { short: None, long: "mode", value: Some("OCTAL"), about: "Permissions of its root directory (0755)" },
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
        root: root(given)?,
    };
    let dataset: Dataset = session.client.post(path::DATASETS, &request)?;
    session.output.result("dataset", &dataset, || {
        let share = dataset.share.as_ref().map_or_else(String::new, |share| format!(", shared as {share}"));
        session.output.line(&format!("Created {}{share}", dataset.name))
    })
}

/// The root directory that flags ask for.
fn root(given: &Given) -> Result<RootDirectory, Failure> {
    let mut root = RootDirectory { mode: given.value("mode").map(str::to_owned), ..RootDirectory::default() };
    if let Some(owner) = given.value("owner") {
        let id = |text: &str| {
            let wrong = || Failure::usage(format!("'{owner}' is no owner"), "--owner 999:999, as numbers");
            text.parse().map(Some).map_err(|_| wrong())
        };
        let (uid, gid) = owner.split_once(':').map_or((owner, None), |(uid, gid)| (uid, Some(gid)));
        root.uid = id(uid)?;
        root.gid = gid.map_or(Ok(None), id)?;
    }
    Ok(root)
}
