//! `cowctl action`: who asked for what, and what came of it.

use cow_api::v1::{Action, Actions, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::virtualization::{misused, table};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::table::Cell;

const FILTERS: [&str; 5] = ["who", "about", "job", "since", "count"];

const fn filter(long: &'static str, value: &'static str, about: &'static str) -> Flag {
    Flag { short: None, long, value: Some(value), about }
}

pub const COMMAND: Command = Command {
    name: "action",
    about: "List who asked for what, and what came of it",
    operands: "list",
    count: 1..=1,
    flags: &[
        filter("who", "TEXT", "Only of those with TEXT in their name, as 'uid 0' or 'policy nightly'"),
        filter("about", "TEXT", "Only with TEXT in what was asked, or in a name that was given"),
        filter("job", "ID", "Only what began this job"),
        filter("since", "TIME", "Only since then, as in 2026-03-01T09:30:00Z"),
        Flag { short: None, long: "failed", value: None, about: "Only what was not done" },
        Flag { short: Some('n'), long: "count", value: Some("N"), about: "At most N, 100 by default" },
        NO_HEADER,
        PARSABLE,
    ],
    more: "Every request that is to change something is recorded, whoever sent it, also by schedule; looking leaves nothing.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    if given.operands[0] != "list" {
        return Err(misused(&COMMAND));
    }
    let filters = FILTERS.into_iter().filter_map(|name| Some(format!("{name}={}", path::encode(given.value(name)?))));
    let failed = given.has("failed").then(|| "failed".to_owned());
    let query: Vec<String> = filters.chain(failed).collect();
    let actions: Actions = session.client.get(&format!("{}?{}", path::ACTIONS, query.join("&")))?;
    session.output.result("actions", &actions, || {
        let headings = ["when", "who", "what", "request", "names", "result", "job"];
        table(session, given, &headings, actions.actions.iter().map(row).collect())
    })
}

fn row(action: &Action) -> Vec<Cell> {
    let names: Vec<String> = action.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let result = match (action.is_done, &action.problem) {
        (None, _) => "unknown".to_owned(),
        (Some(true), _) => "done".to_owned(),
        (Some(false), problem) => problem.clone().unwrap_or_else(|| "not done".to_owned()),
    };
    let job = |id: u64| match action.job_state {
        Some(state) => Cell::Text(format!("{id} {}", state.as_str())),
        None => Cell::Number(id),
    };
    vec![
        Cell::Moment(action.at),
        Cell::text(&action.who),
        Cell::text(&action.what),
        Cell::text(&action.request),
        Cell::Text(names.join(" ")),
        Cell::Text(result),
        Cell::of(action.job, job),
    ]
}
