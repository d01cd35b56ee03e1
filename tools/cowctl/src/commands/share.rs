//! `cowctl share`: who may mount what.

use cow_api::v1::{SetShare, Share, Shares, path};

use crate::arguments::{Command, Given};
use crate::commands::{NO_HEADER, Session};
use crate::failure::Failure;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "share",
    about: "List, set or clear who may mount a dataset by NFS",
    operands: "list [DATASET] | set DATASET OPTION... | clear DATASET",
    count: 1..=usize::MAX,
    flags: &[NO_HEADER],
    more: "Options of set, in any order:\n  \
           NETWORK           Who may mount it, as 10.1.0.0/16 or an address; any number of networks, each followed by\n    \
             rw or ro          whether its clients may write (ro)\n    \
             root_squash, no_root_squash or all_squash\n                      \
             which of their users become the anonymous one (root_squash)\n  \
           anonuid=N         The anonymous user\n  \
           anongid=N         The anonymous group\n  \
           secure, insecure  Whether calls must come from ports below 1024\n  \
           off               Nobody may mount it\n\
           What is not said stays as it was; networks replace those from before. It counts for all datasets below that\n\
           say nothing themselves, from the next call of each client on. clear lets a dataset inherit again: from the\n\
           nearest one in front of its name that says something, or from the configuration. A clone inherits by its own\n\
           name. As in: cowctl share set prod 10.1.0.0/16 rw 10.2.0.0/16 ro all_squash anonuid=99",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(session, given, path::SHARES),
        ["list", name] => list(session, given, &format!("{}?under={}", path::SHARES, path::encode(name))),
        ["set", name, _, ..] => set(session, name, &words[2..].join(" ")),
        ["clear", name] => {
            let share: Share = session.client.delete(&path::share(name))?;
            session.output.result("share", &share, || {
                session.output.line(&format!("Cleared the share of {name}: {} ({})", share.describe(), from(&share)))
            })
        }
        ["set" | "list" | "clear", ..] => Err(misused(format!("share: {} takes something else", words[0]))),
        _ => Err(misused(format!("share: '{}' makes no sense", words.first().unwrap_or(&"")))),
    }
}

fn misused(detail: String) -> Failure {
    Failure::usage(detail, format!("usage: cowctl share {}", COMMAND.operands))
}

fn set(session: &Session<'_>, name: &str, text: &str) -> Result<(), Failure> {
    let hint = "'cowctl help share' shows all that can be said";
    let change = SetShare::parse(text).map_err(|problem| Failure::usage(format!("share: {problem}"), hint))?;
    let share: Share = session.client.patch(&path::share(name), &change)?;
    session.output.result("share", &share, || session.output.line(&format!("Shared {}: {}", name, share.describe())))
}

fn list(session: &Session<'_>, given: &Given, target: &str) -> Result<(), Failure> {
    let shares: Shares = session.client.get(target)?;
    session.output.result("shares", &shares, || {
        let headings = ["dataset", "clients", "anonymous", "ports", "from"].map(str::to_owned).to_vec();
        let table = Table { headings, rows: shares.shares.iter().map(row).collect() };
        let style = Style { for_scripts: given.has("no-header"), exact: false };
        if table.rows.is_empty() && !style.for_scripts {
            return Ok(());
        }
        let lines = table.lines(style, |tone, text| session.output.paint(tone, text));
        lines.iter().try_for_each(|line| session.output.line(line))
    })
}

fn row(share: &Share) -> Vec<Cell> {
    let clients = if share.rules.is_empty() { "off".to_owned() } else { share.rules.join(", ") };
    let ports = if share.secure { "secure" } else { "insecure" };
    vec![
        Cell::text(&share.dataset),
        Cell::Text(clients),
        Cell::Text(format!("{}:{}", share.anonuid, share.anongid)),
        Cell::text(ports),
        Cell::Text(from(share)),
    ]
}

/// Where a share's options come from.
fn from(share: &Share) -> String {
    match &share.from {
        None => "configuration".to_owned(),
        Some(name) if *name == share.dataset => "itself".to_owned(),
        Some(name) => format!("inherited from {name}"),
    }
}
