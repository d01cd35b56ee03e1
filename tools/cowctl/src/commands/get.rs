//! `cowctl get`: prints what is known of a dataset or snapshot.

use cow_api::v1::{Dataset, Snapshot, path};

use crate::arguments::{Command, Given};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::render::{Fact, dataset_facts, snapshot_facts};
use crate::table::{Style, Table};

pub const COMMAND: Command = Command {
    name: "get",
    about: "Print properties and facts of a dataset or snapshot",
    operands: "DATASET[@SNAPSHOT] [NAME]...",
    count: 1..=usize::MAX,
    flags: &[NO_HEADER, PARSABLE],
    more: "Without a name, all are printed. 'exclusive' is what destroying it would free.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (name, wanted) = (&given.operands[0], &given.operands[1..]);
    if name.contains('@') {
        let snapshot: Snapshot = session.client.get(&path::snapshot(name))?;
        let facts = chosen(snapshot_facts(&snapshot), wanted)?;
        return session.output.result("snapshot", &snapshot, || print(session, given, facts));
    }
    let dataset: Dataset = session.client.get(&path::dataset(name))?;
    let facts = chosen(dataset_facts(&dataset), wanted)?;
    session.output.result("dataset", &dataset, || print(session, given, facts))
}

fn chosen(facts: Vec<Fact>, wanted: &[String]) -> Result<Vec<Fact>, Failure> {
    if wanted.is_empty() {
        return Ok(facts);
    }
    let find = |name: &String| {
        let found = facts.iter().find(|(known, _)| known == name).cloned();
        let known = || facts.iter().map(|(known, _)| known.as_str()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| Failure::usage(format!("it has no '{name}'"), format!("it has {}", known())))
    };
    wanted.iter().map(find).collect()
}

fn print(session: &Session<'_>, given: &Given, facts: Vec<Fact>) -> Result<(), Failure> {
    let rows = facts.into_iter().map(|(name, cell)| {
        let exact = given.has("parsable");
        vec![crate::table::Cell::Text(name), crate::table::Cell::Text(cell.show(exact))]
    });
    let table = Table { headings: vec!["name".to_owned(), "value".to_owned()], rows: rows.collect() };
    let style = Style { for_scripts: given.has("no-header"), exact: given.has("parsable") };
    table
        .lines(style, |tone, text| session.output.paint(tone, text))
        .iter()
        .try_for_each(|line| session.output.line(line))
}
