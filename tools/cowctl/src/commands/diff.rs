//! `cowctl diff`: lists paths that differ.

use cow_api::size::ByteSize;
use cow_api::v1::{Diff, Difference, DifferenceKind, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{Session, require_snapshot};
use crate::failure::Failure;
use crate::output::{Tone, one_line};

pub const COMMAND: Command = Command {
    name: "diff",
    about: "List the paths that differ between two snapshots, or a snapshot and now",
    operands: "DATASET@SNAPSHOT [DATASET[@SNAPSHOT]]",
    count: 1..=2,
    flags: &[Flag { short: None, long: "limit", value: Some("COUNT"), about: "Stop after that many paths" }],
    more: "Without a second one, the snapshot is compared with what its dataset has now. A clone can be compared\n\
           with its origin. Each line begins with + for added, - for removed, M for modified or R for renamed.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let older = &given.operands[0];
    let newer = match given.operands.get(1) {
        Some(newer) => newer.as_str(),
        None => require_snapshot(&COMMAND, older)?.0,
    };
    let mut target = format!("{}?older={}&newer={}", path::DIFF, path::encode(older), path::encode(newer));
    if let Some(limit) = given.value("limit") {
        let count: u64 =
            limit.parse().map_err(|_| Failure::usage(format!("'{limit}' is no number"), "--limit 1000"))?;
        target += &format!("&limit={count}");
    }
    let diff: Diff = session.client.get(&target)?;
    session.output.result("diff", &diff, || {
        diff.differences.iter().try_for_each(|difference| session.output.line(&line(session, difference)))?;
        if diff.truncated {
            session.output.note("There are more: --limit says how many are listed");
        }
        Ok(())
    })
}

fn line(session: &Session<'_>, difference: &Difference) -> String {
    let path = one_line(&difference.path);
    let changed = match difference.changed_bytes {
        0 => String::new(),
        bytes => format!("  ({})", ByteSize(bytes)),
    };
    match difference.kind {
        DifferenceKind::Added => session.output.paint(Tone::Good, &format!("+ {path}")),
        DifferenceKind::Removed => session.output.paint(Tone::Bad, &format!("- {path}")),
        DifferenceKind::Modified => session.output.paint(Tone::Changed, &format!("M {path}{changed}")),
        DifferenceKind::Renamed => {
            let from = one_line(difference.from.as_deref().unwrap_or_default());
            session.output.paint(Tone::Changed, &format!("R {from} -> {path}{changed}"))
        }
    }
}
