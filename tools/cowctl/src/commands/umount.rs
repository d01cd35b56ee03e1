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
    more: "What names a mounted dataset or snapshot is that, and all its mounts end; anything else is a path. What was\n\
           written is kept.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let mut ended = Mounts::default();
    for operand in &given.operands {
        let target = path::mount(&named(session, operand)?);
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

/// A name, or a path as the daemon knows it. The path itself is not looked at: it may be a mount that hangs.
fn named(session: &Session<'_>, operand: &str) -> Result<String, Failure> {
    if !operand.starts_with(['/', '.']) {
        let mounts: Mounts = session.client.get(path::MOUNTS)?;
        let real = real_path(operand)?;
        let is_path = mounts.mounts.iter().any(|mount| mount.path == real);
        let is_name = mounts.mounts.iter().any(|mount| mount.name == operand);
        return Ok(if is_path && !is_name { real } else { operand.to_owned() });
    }
    real_path(operand)
}

fn real_path(operand: &str) -> Result<String, Failure> {
    let whole = absolute(Path::new(operand)).ok();
    let real = whole.as_deref().and_then(|path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)));
    match real.as_deref().and_then(Path::to_str) {
        Some(real) => Ok(real.to_owned()),
        None => absolute_directory(operand),
    }
}
