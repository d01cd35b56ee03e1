//! `cowctl space`: tells where the space went.

use cow_api::v1::{Code, DatasetSpace, Space, path};

use crate::arguments::{Command, Given};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "space",
    about: "Tell where the space went",
    operands: "[DATASET]...",
    count: 0..=usize::MAX,
    flags: &[NO_HEADER, PARSABLE],
    more: "referenced  What the dataset holds, before compression\n\
           logical     The same with its snapshots, as if nothing was shared\n\
           exclusive   What is stored for it alone: destroying it with its snapshots would free that",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let mut space: Space = session.client.get(path::SPACE)?;
    for name in &given.operands {
        if !space.datasets.iter().any(|dataset| dataset.name == *name) {
            return Err(Failure::problem(Code::NotFound, format!("there is no dataset '{name}'")));
        }
    }
    let names = &given.operands;
    space.datasets.retain(|dataset| names.is_empty() || names.contains(&dataset.name));
    session.output.result("space", &space, || print(session, given, &space))
}

fn print(session: &Session<'_>, given: &Given, space: &Space) -> Result<(), Failure> {
    let style = Style { for_scripts: given.has("no-header"), exact: given.has("parsable") };
    let paint = |tone, text: &str| session.output.paint(tone, text);
    let headings = ["name", "referenced", "logical", "exclusive", "snapshots", "quota"].map(str::to_owned).to_vec();
    let table = Table { headings, rows: space.datasets.iter().map(row).collect() };
    table.lines(style, paint).iter().try_for_each(|line| session.output.line(line))?;
    if style.for_scripts || !given.operands.is_empty() {
        return Ok(());
    }
    let pool = &space.pool;
    let bytes = |bytes| Cell::Bytes(bytes).show(style.exact);
    session.output.line("")?;
    session.output.line(&format!(
        "Pool: {} stored for {} ({}), {} awaiting undelete, {} on disk, {} free",
        bytes(pool.live),
        bytes(pool.logical),
        Cell::Ratio(pool.ratio).show(style.exact),
        bytes(pool.awaiting),
        bytes(pool.stored),
        bytes(pool.free)
    ))
}

fn row(dataset: &DatasetSpace) -> Vec<Cell> {
    vec![
        Cell::text(&dataset.name),
        Cell::Bytes(dataset.referenced),
        Cell::Bytes(dataset.logical),
        Cell::Bytes(dataset.exclusive),
        Cell::Number(dataset.snapshots),
        Cell::of(dataset.quota, Cell::Bytes),
    ]
}
