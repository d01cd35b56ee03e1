//! `cowctl status`: tells how the daemon is.

use cow_api::size::ByteSize;
use cow_api::v1::{Backlog, State, Status, path};

use crate::arguments::{Command, Given};
use crate::commands::{Session, scrub};
use crate::failure::Failure;
use crate::follow::duration;
use crate::output::Tone;

pub const COMMAND: Command = Command {
    name: "status",
    about: "Tell how the daemon is",
    operands: "",
    count: 0..=0,
    flags: &[],
    more: "Exits with 1 when it takes no more writes.",
    run,
};

fn run(session: &Session<'_>, _: &Given) -> Result<(), Failure> {
    let status: Status = session.client.get(path::STATUS)?;
    session.output.result("status", &status, || print(session, &status))?;
    if status.state == State::Poisoned { Err(Failure::Told(1)) } else { Ok(()) }
}

fn print(session: &Session<'_>, status: &Status) -> Result<(), Failure> {
    let state = match status.state {
        State::Serving => session.output.paint(Tone::Good, "serving"),
        State::Poisoned => session.output.paint(Tone::Bad, "a write failed: restart it"),
        State::Stopping => session.output.paint(Tone::Changed, "stopping"),
    };
    let space = &status.space;
    let ratio = format!("{:.2}x", space.ratio);
    let lines = [
        ("cowd", format!("{state}, version {}, up {}", status.version, duration(status.uptime_seconds))),
        ("Pool", format!("{} ({})", status.pool, status.pool_id)),
        ("Stored", format!("{} for {} ({ratio})", ByteSize(space.live), ByteSize(space.logical))),
        ("Free", ByteSize(space.free).to_string()),
        (
            "Holds",
            format!(
                "{} datasets, {} snapshots, {} destroyed that can come back",
                status.datasets, status.snapshots, status.destroyed
            ),
        ),
        ("Backlog", backlog(status)),
        ("Scrub", scrub::line(&status.scrub)),
        ("NFS", nfs(status)),
        ("HTTP", status.http.clone().unwrap_or_else(|| "only at its socket".to_owned())),
        ("Jobs", format!("{} running or waiting", status.jobs)),
    ];
    lines.iter().try_for_each(|(name, text)| session.output.line(&format!("{:<9}{text}", format!("{name}:"))))
}

fn backlog(status: &Status) -> String {
    let Backlog { reclaims, hidden, sparse_bytes, .. } = status.backlog;
    let sparse = ByteSize(sparse_bytes);
    format!("{reclaims} purged to be reclaimed, {hidden} kept for those who share, {sparse} to be cleaned")
}

fn nfs(status: &Status) -> String {
    let connections = status.connections;
    status.nfs.as_ref().map_or_else(|| "off".to_owned(), |address| format!("{address}, {connections} connections"))
}
