//! `cowctl umount`: ends mounts on the daemon's host.

use std::path::{Path, absolute};

use cow_api::v1::{Mounts, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{Session, absolute_directory};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "umount",
    about: "Unmount what is mounted on this host",
    operands: "PATH|DATASET[@SNAPSHOT]...",
    count: 1..=usize::MAX,
    flags: &[Flag {
        short: Some('f'),
        long: "force",
        value: None,
        about: "Unmount whoever uses it: programs that have files open get errors",
    }],
    more: "A path begins with / or a dot; anything else is a name, and all its mounts end. What was written is kept.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let mut ended = Mounts::default();
    for operand in &given.operands {
        let target = path::mount(&named(operand)?);
        let target = if given.has("force") { format!("{target}?force=true") } else { target };
        let more: Mounts = session.client.delete(&target)?;
        // Each is told at once, as the next may fail.
        if !session.output.json {
            more.mounts
                .iter()
                .try_for_each(|mount| session.output.line(&format!("Unmounted {} from {}", mount.name, mount.path)))?;
        }
        ended.mounts.extend(more.mounts);
    }
    session.output.result("mounts", &ended, || Ok(()))
}

/// A path as the daemon knows it, or a name. The path itself is not looked at: it may be a mount that hangs.
fn named(operand: &str) -> Result<String, Failure> {
    if !operand.starts_with(['/', '.']) {
        return Ok(operand.to_owned());
    }
    let whole = absolute(Path::new(operand)).ok();
    let real = whole.as_deref().and_then(|path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)));
    match real.as_deref().and_then(Path::to_str) {
        Some(real) => Ok(real.to_owned()),
        None => absolute_directory(operand),
    }
}
