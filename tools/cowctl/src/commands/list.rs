//! `cowctl list`: lists datasets and snapshots.

use cow_api::v1::{Code, Dataset, Listing, PROPERTY_NAMES, Snapshot, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::render::{Fact, dataset_facts, snapshot_facts};
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "list",
    about: "List datasets and snapshots",
    operands: "[DATASET]...",
    count: 0..=usize::MAX,
    flags: &[
        Flag { short: Some('r'), long: "recursive", value: None, about: "List what is below the given datasets too" },
        Flag {
            short: Some('t'),
            long: "type",
            value: Some("TYPE"),
            about: "List dataset (the default), snapshot, or all",
        },
        Flag {
            short: Some('o'),
            long: "columns",
            value: Some("NAME,..."),
            about: "Print these columns, properties among them",
        },
        Flag {
            short: Some('s'),
            long: "sort",
            value: Some("COLUMN"),
            about: "Sort by a column; with - before it, downwards",
        },
        NO_HEADER,
        PARSABLE,
        Flag { short: None, long: "destroyed", value: None, about: "List what 'cowctl undelete' can bring back" },
    ],
    more: "Columns: name, type, id, created, referenced, exclusive, origin, share, commit, root, holds, automatic,\n\
           destroyed, and every property. 'exclusive', what destroying it would free, takes a question each.",
    run,
};

/// What is printed when no columns are named.
const COLUMNS: [&str; 4] = ["name", "referenced", "created", "origin"];
/// Columns that some row could have, and this one need not.
const KNOWN: [&str; 13] = [
    "name",
    "type",
    "id",
    "created",
    "referenced",
    "exclusive",
    "origin",
    "share",
    "commit",
    "root",
    "holds",
    "automatic",
    "destroyed",
];

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (datasets, snapshots) = match given.value("type").unwrap_or("dataset") {
        "dataset" | "datasets" => (true, false),
        "snapshot" | "snapshots" => (false, true),
        "all" => (true, true),
        other => return Err(Failure::usage(format!("there is no type '{other}'"), "give dataset, snapshot or all")),
    };
    let columns = columns(given);
    let sorting = given.value("sort").map(|column| column.strip_prefix('-').unwrap_or(column).to_owned());
    columns.iter().chain(&sorting).try_for_each(|column| check_column(column))?;
    let mut listing: Listing = session.client.get(&target(given, snapshots))?;
    require_all(&listing, given)?;
    // What was destroyed is listed whole, as nobody knows whether it was a dataset or a snapshot.
    let everything = given.has("destroyed") && given.value("type").is_none();
    listing.datasets.retain(|dataset| (datasets || everything) && is_wanted(given, &dataset.name));
    listing.snapshots.retain(|snapshot| (snapshots || everything) && is_wanted(given, &snapshot.dataset));
    if columns.iter().chain(&sorting).any(|column| column == "exclusive") {
        ask_exclusive(session, &mut listing)?;
    }
    session.output.result("listing", &listing, || print(session, given, &columns, &listing))
}

/// What to ask for: as little as the rest can be chosen from.
fn target(given: &Given, snapshots: bool) -> String {
    match &given.operands[..] {
        _ if given.has("destroyed") => path::DESTROYED.to_owned(),
        [name] => format!("{}?snapshots={snapshots}&under={}", path::DATASETS, path::encode(name)),
        _ => format!("{}?snapshots={snapshots}", path::DATASETS),
    }
}

/// Fails for a dataset that was named and is not there.
fn require_all(listing: &Listing, given: &Given) -> Result<(), Failure> {
    let is_there = |name: &String| {
        listing.datasets.iter().any(|dataset| dataset.name == *name)
            || listing.snapshots.iter().any(|snapshot| snapshot.dataset == *name)
    };
    match given.operands.iter().find(|name| !is_there(name)) {
        Some(name) => Err(Failure::problem(Code::NotFound, format!("there is no dataset '{name}'"))),
        None => Ok(()),
    }
}

fn is_wanted(given: &Given, dataset: &str) -> bool {
    let is_below = |name: &String| dataset.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'));
    given.operands.is_empty()
        || given.operands.iter().any(|name| name == dataset || (given.has("recursive") && is_below(name)))
}

fn columns(given: &Given) -> Vec<String> {
    let named = given.value("columns").map(|text| text.split(',').map(str::to_owned).collect());
    named.unwrap_or_else(|| COLUMNS.map(str::to_owned).to_vec())
}

/// Asks for each what only the answer about one says.
fn ask_exclusive(session: &Session<'_>, listing: &mut Listing) -> Result<(), Failure> {
    for dataset in &mut listing.datasets {
        dataset.exclusive = session.client.get::<Dataset>(&path::dataset(&dataset.name))?.exclusive;
    }
    for snapshot in &mut listing.snapshots {
        snapshot.exclusive = session.client.get::<Snapshot>(&path::snapshot(&snapshot.name))?.exclusive;
    }
    Ok(())
}

fn print(session: &Session<'_>, given: &Given, columns: &[String], listing: &Listing) -> Result<(), Failure> {
    let of_datasets = listing.datasets.iter().map(dataset_facts);
    let mut facts: Vec<Vec<Fact>> = of_datasets.chain(listing.snapshots.iter().map(snapshot_facts)).collect();
    // A dataset's snapshots follow it, in the order that they were taken.
    facts.sort_by_cached_key(|facts| match cell(facts, "name") {
        Cell::Text(name) => name.split('@').next().unwrap_or_default().to_owned(),
        _ => String::new(),
    });
    sort(given, &mut facts);
    let row = |facts: &Vec<Fact>| columns.iter().map(|column| cell(facts, column)).collect();
    let table = Table { headings: columns.to_vec(), rows: facts.iter().map(row).collect() };
    let style = Style { for_scripts: given.has("no-header"), exact: given.has("parsable") };
    if table.rows.is_empty() && !style.for_scripts {
        return Ok(());
    }
    table
        .lines(style, |tone, text| session.output.paint(tone, text))
        .iter()
        .try_for_each(|line| session.output.line(line))
}

fn sort(given: &Given, facts: &mut [Vec<Fact>]) {
    let Some(column) = given.value("sort") else { return };
    let (column, down) = column.strip_prefix('-').map_or((column, false), |column| (column, true));
    facts.sort_by(|left, right| {
        let order = cell(left, column).order(&cell(right, column));
        if down { order.reverse() } else { order }
    });
}

fn check_column(column: &str) -> Result<(), Failure> {
    if KNOWN.contains(&column) || PROPERTY_NAMES.contains(&column) || column.contains(':') {
        return Ok(());
    }
    Err(Failure::usage(format!("there is no column '{column}'"), "'cowctl help list' names them"))
}

fn cell(facts: &[Fact], column: &str) -> Cell {
    facts.iter().find(|(name, _)| name == column).map_or(Cell::Nothing, |(_, cell)| cell.clone())
}
