//! The commands, one file each: what each takes, and what it does with it.

mod action;
mod bookmark;
mod clients;
mod clone;
mod create;
mod destroy;
mod diff;
mod env;
mod export;
mod fault;
mod get;
mod hold;
mod hook;
mod import;
mod job;
mod list;
mod lock;
mod mount;
mod plugin;
mod policy;
mod release;
mod rename;
mod rewind;
mod scrub;
mod set;
mod share;
mod snapshot;
mod source;
mod space;
mod status;
mod timeline;
mod umount;
mod undelete;
mod v2p;
mod vdb;
mod verify;
mod virtualization;

use std::path::{Path, absolute};

use cow_api::v1::{Profile, PropertyChange};

use crate::arguments::{Command, Flag, Given};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// All commands, in the order of the help.
pub const COMMANDS: &[Command] = &[
    create::COMMAND,
    list::COMMAND,
    get::COMMAND,
    set::COMMAND,
    rename::COMMAND,
    snapshot::COMMAND,
    clone::COMMAND,
    rewind::COMMAND,
    destroy::COMMAND,
    undelete::COMMAND,
    hold::COMMAND,
    release::COMMAND,
    mount::COMMAND,
    umount::COMMAND,
    diff::COMMAND,
    import::COMMAND,
    export::COMMAND,
    verify::COMMAND,
    scrub::COMMAND,
    space::COMMAND,
    share::COMMAND,
    clients::COMMAND,
    lock::COMMAND,
    env::COMMAND,
    plugin::COMMAND,
    status::COMMAND,
    job::COMMAND,
    source::COMMAND,
    vdb::COMMAND,
    timeline::COMMAND,
    v2p::COMMAND,
    bookmark::COMMAND,
    hook::COMMAND,
    policy::COMMAND,
    action::COMMAND,
    fault::COMMAND,
];

/// What a command works with.
pub struct Session<'s> {
    pub client: Client,
    pub output: &'s Output,
}

/// Sets a property of what is made.
const PROPERTY: Flag =
    Flag { short: Some('o'), long: "property", value: Some("NAME=VALUE"), about: "Set a property; may be repeated" };
/// Chooses block and extent size by what will be stored.
const PROFILE: Flag = Flag {
    short: None,
    long: "profile",
    value: Some("PROFILE"),
    about: "Suit block and extent size to default, postgres, innodb or tree",
};
/// Does not wait for a job.
const DETACH: Flag =
    Flag { short: None, long: "detach", value: None, about: "Do not wait: print the job and leave it to the daemon" };
/// Prints for scripts.
const NO_HEADER: Flag =
    Flag { short: Some('H'), long: "no-header", value: None, about: "Print no heading, and a tab between columns" };
/// Prints exact numbers.
const PARSABLE: Flag =
    Flag { short: Some('p'), long: "parsable", value: None, about: "Print bytes and seconds since 1970" };
const DATASETS_BELOW: &str = "Do the same with all datasets below";

/// A snapshot's full name in two: the dataset, and the part behind `@`.
fn split_snapshot(name: &str) -> Option<(&str, &str)> {
    name.split_once('@').filter(|(dataset, snapshot)| !dataset.is_empty() && !snapshot.is_empty())
}

/// Fails unless `name` is a snapshot's.
fn require_snapshot<'n>(command: &Command, name: &'n str) -> Result<(&'n str, &'n str), Failure> {
    split_snapshot(name).ok_or_else(|| {
        Failure::usage(format!("{}: '{name}' is no snapshot", command.name), "write it as DATASET@SNAPSHOT")
    })
}

/// Properties from `NAME=VALUE` texts.
fn properties<'t>(texts: impl Iterator<Item = &'t str>) -> Result<PropertyChange, Failure> {
    let mut change = PropertyChange::default();
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!("'{text}' sets no property"), "write it as NAME=VALUE"));
        };
        change.set(name, value).map_err(|problem| Failure::usage(problem, "'cowctl help set' lists the properties"))?;
    }
    Ok(change)
}

/// The profile that was asked for.
fn profile(given: &Given) -> Result<Profile, Failure> {
    let parse = |text: &str| text.parse().map_err(|problem| Failure::usage(problem, "the default suits most content"));
    given.value("profile").map_or(Ok(Profile::default()), parse)
}

/// A directory as the daemon, which works in another one, finds it too.
fn absolute_directory(text: &str) -> Result<String, Failure> {
    let found = absolute(Path::new(text)).map(|path| path.to_str().map(str::to_owned));
    match found {
        Ok(Some(path)) => Ok(path),
        _ => Err(Failure::usage(format!("'{text}' is no directory's name"), "give an absolute path")),
    }
}
