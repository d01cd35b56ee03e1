//! `cowctl lock`: who holds which bytes of which files.

use cow_api::v1::{Lock, LockKind, Locks, ReleasedLocks, path};

use crate::arguments::{Command, Given};
use crate::commands::{NO_HEADER, Session};
use crate::failure::Failure;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "lock",
    about: "List the locks that clients hold, or take them from a client",
    operands: "list [DATASET] | release CLIENT",
    count: 1..=2,
    flags: &[NO_HEADER],
    more: "A file is told by its number: 'find -inum' finds it. A client is an address or a name of the list. release is\n\
           for one that is gone and will not come back: one that is not goes on as if it still had its locks.",
    run,
};

const HEADINGS: [&str; 9] = ["dataset", "inode", "client", "name", "process", "kind", "offset", "length", "state"];

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(session, given, path::LOCKS),
        ["list", name] => list(session, given, &format!("{}?dataset={}", path::LOCKS, path::encode(name))),
        ["release", client] => {
            let released: ReleasedLocks = session.client.delete(&path::locks_of(client))?;
            session.output.result("released", &released, || {
                let count = released.released;
                let clients = released.clients.join(", ");
                session
                    .output
                    .line(&format!("Released {count} {} of {clients}", if count == 1 { "lock" } else { "locks" }))
            })
        }
        _ => {
            let detail = format!("lock: '{}' makes no sense", words.join(" "));
            Err(Failure::usage(detail, format!("usage: cowctl lock {}", COMMAND.operands)))
        }
    }
}

fn list(session: &Session<'_>, given: &Given, target: &str) -> Result<(), Failure> {
    let locks: Locks = session.client.get(target)?;
    session.output.result("locks", &locks, || {
        let style = Style { for_scripts: given.has("no-header"), exact: false };
        if !locks.locks.is_empty() || style.for_scripts {
            let headings = HEADINGS.map(str::to_owned).to_vec();
            let table = Table { headings, rows: locks.locks.iter().map(row).collect() };
            let lines = table.lines(style, |tone, text| session.output.paint(tone, text));
            lines.iter().try_for_each(|line| session.output.line(line))?;
        }
        if style.for_scripts {
            return Ok(());
        }
        if locks.more > 0 {
            session.output.line(&format!("and {} more", locks.more))?;
        }
        let waits = |client: &String| session.output.line(&format!("Waiting for {client} to take its locks back"));
        locks.awaited.iter().try_for_each(waits)
    })
}

fn row(lock: &Lock) -> Vec<Cell> {
    let dataset = match lock.snapshot {
        Some(snapshot) => format!("{} (snapshot {snapshot})", lock.dataset),
        None => lock.dataset.clone(),
    };
    let kind = match lock.kind {
        LockKind::Shared => "shared",
        LockKind::Exclusive => "exclusive",
    };
    vec![
        Cell::Text(dataset),
        Cell::Number(lock.inode),
        Cell::text(&lock.client),
        Cell::Text(lock.name.escape_debug().to_string()),
        Cell::Text(lock.process.to_string()),
        Cell::text(kind),
        Cell::Number(lock.offset),
        lock.length.map_or(Cell::Nothing, Cell::Number),
        Cell::text(if lock.waiting { "waiting" } else { "held" }),
    ]
}
