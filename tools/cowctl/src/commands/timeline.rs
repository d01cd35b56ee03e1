//! `cowctl timeline`: the history of a dSource or VDB, drawn.

use cow_api::time::Time;
use cow_api::v1::{Timeflow, Timeline, path};

use crate::arguments::{Command, Given};
use crate::commands::Session;
use crate::failure::Failure;
use crate::output::{Tone, one_line};

pub const COMMAND: Command = Command {
    name: "timeline",
    about: "Draw the timeflows and snapshots of a dSource or VDB",
    operands: "NAME",
    count: 1..=1,
    flags: &[],
    more: "A timeflow is a line of snapshots; a refresh or rewind begins another one. The current one is marked with *.\n\
           Behind a snapshot stand in [] its bookmarks and the tags that hold it, then the timeflows that began from it.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let timeline: Timeline = session.client.get(&path::source_part(&given.operands[0], "timeline"))?;
    session.output.result("timeline", &timeline, || {
        timeline.timeflows.iter().flat_map(drawn).try_for_each(|(is_head, line)| {
            let line = if is_head { session.output.paint(Tone::Heading, &line) } else { line };
            session.output.line(&line)
        })
    })
}

/// A timeflow's lines, and which of them is its head.
fn drawn(flow: &Timeflow) -> Vec<(bool, String)> {
    let mark = if flow.is_current { '*' } else { ' ' };
    let from = flow.from.as_ref().map_or_else(String::new, |from| format!(" from {}", one_line(from)));
    let begun = Time { nanoseconds: 0, ..flow.created };
    let head = format!("{mark} {} {}  {}{from}  {begun}", flow.number, one_line(&flow.dataset), one_line(&flow.why));
    let last = flow.snapshots.len().saturating_sub(1);
    let snapshots = flow.snapshots.iter().enumerate().map(|(at, snapshot)| {
        let corner = if at == last { "└─" } else { "├─" };
        let name = snapshot.name.split_once('@').map_or(snapshot.name.as_str(), |(_, name)| name);
        let origin = snapshot.origin_of.join(", ");
        let origin = if origin.is_empty() { origin } else { format!("  → {}", one_line(&origin)) };
        let kept = [&snapshot.bookmarks[..], &snapshot.holds[..]].concat().join(", ");
        let kept = if kept.is_empty() { kept } else { format!("  [{}]", one_line(&kept)) };
        (false, format!("    {corner} @{}{kept}{origin}", one_line(name)))
    });
    std::iter::once((true, head)).chain(snapshots).collect()
}

#[cfg(test)]
mod tests {
    use cow_api::v1::TimeflowSnapshot;

    use super::*;

    #[test]
    fn a_timeflow_is_drawn_with_what_began_from_it() {
        let time: Time = "2026-03-01T09:30:00.5Z".parse().unwrap();
        let snapshot = |name: &str, origin_of: &[&str]| TimeflowSnapshot {
            name: format!("vdb/a/2@{name}"),
            created: time,
            origin_of: origin_of.iter().map(|&of| of.to_owned()).collect(),
            bookmarks: if name == "z" { vec!["kept".to_owned()] } else { Vec::new() },
            holds: if name == "z" { vec!["audit".to_owned()] } else { Vec::new() },
        };
        let flow = Timeflow {
            number: 2,
            dataset: "vdb/a/2".to_owned(),
            why: "rewind".to_owned(),
            from: Some("vdb/a/1@x".to_owned()),
            created: time,
            is_current: true,
            snapshots: vec![snapshot("y", &["b (1)", "a (3)"]), snapshot("z", &[])],
        };
        let lines: Vec<String> = drawn(&flow).into_iter().map(|(_, line)| line).collect();
        assert_eq!(
            lines,
            [
                "* 2 vdb/a/2  rewind from vdb/a/1@x  2026-03-01T09:30:00Z",
                "    ├─ @y  → b (1), a (3)",
                "    └─ @z  [kept, audit]"
            ]
        );
    }
}
