//! `cowctl fault`: what is wrong and stays so until somebody mends it.

use cow_api::v1::{Faults, path};

use crate::arguments::{Command, Given};
use crate::commands::virtualization::table;
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::table::Cell;

pub const COMMAND: Command = Command {
    name: "fault",
    about: "List lasting bad states",
    operands: "",
    count: 0..=0,
    flags: &[NO_HEADER, PARSABLE],
    more: "A fault goes when its cause does: what a job could not undo is tried again every minute.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let faults: Faults = session.client.get(path::FAULTS)?;
    session.output.result("faults", &faults, || {
        let headings = ["since", "subject", "fault", "what to do"];
        let rows = faults.faults.iter().map(|fault| {
            let hint = Cell::of(fault.hint.as_ref(), Cell::text);
            vec![Cell::Moment(fault.since), Cell::text(&fault.subject), Cell::text(&fault.detail), hint]
        });
        table(session, given, &headings, rows.collect())
    })
}
