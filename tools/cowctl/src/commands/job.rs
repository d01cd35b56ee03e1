//! `cowctl job`: lists, follows and cancels jobs.

use cow_api::v1::{Job, JobLevel, JobLog, Jobs, path};

use crate::arguments::{Command, Given};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::follow::follow;
use crate::output::one_line;
use crate::render::{self, job_state};
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "job",
    about: "List, show, follow or cancel jobs, and print what they logged",
    operands: "[list | show ID | log ID | follow ID | cancel ID]",
    count: 0..=2,
    flags: &[NO_HEADER, PARSABLE],
    more: "Imports, exports, verifications and all work with dSources and VDBs are jobs: the daemon does them, whether\n\
           somebody waits or not. log prints what a job did, with * for its steps and ! for what went wrong.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["list"] => list(session, given),
        ["show", id] | [id] if number(id).is_ok() => {
            let job: Job = session.client.get(&path::job(number(id)?))?;
            render::job(session, &job)
        }
        ["log", id] => log(session, given, number(id)?),
        ["follow", id] => {
            let job: Job = session.client.get(&path::job(number(id)?))?;
            render::job(session, &follow(session, job)?)
        }
        ["cancel", id] => {
            let job: Job = session.client.delete(&path::job(number(id)?))?;
            session.output.result("job", &job, || session.output.line(&render::job_line(&job)))
        }
        _ => Err(Failure::usage(
            format!("job: '{}' makes no sense", words.join(" ")),
            "give list, or show, log, follow or cancel with a job's number",
        )),
    }
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("'{text}' is no job's number"), "'cowctl job list' prints them"))
}

fn list(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let jobs: Jobs = session.client.get(path::JOBS)?;
    session.output.result("jobs", &jobs, || {
        let headings = ["id", "kind", "state", "done", "created", "subject"].map(str::to_owned).to_vec();
        let table = Table { headings, rows: jobs.jobs.iter().map(row).collect() };
        let style = Style { for_scripts: given.has("no-header"), exact: given.has("parsable") };
        if table.rows.is_empty() {
            return Ok(());
        }
        let paint = |tone, text: &str| session.output.paint(tone, text);
        table.lines(style, paint).iter().try_for_each(|line| session.output.line(line))
    })
}

fn log(session: &Session<'_>, given: &Given, id: u64) -> Result<(), Failure> {
    let log: JobLog = session.client.get(&path::job_log(id))?;
    session.output.result("log", &log, || {
        log.lines.iter().try_for_each(|line| {
            let at = Cell::Moment(line.at).show(given.has("parsable"));
            let mark = match line.level {
                JobLevel::Step => "*",
                JobLevel::Error => "!",
                JobLevel::Info | JobLevel::Debug => " ",
            };
            line.text.lines().try_for_each(|text| session.output.line(&format!("{at} {mark} {}", one_line(text))))
        })
    })
}

fn row(job: &Job) -> Vec<Cell> {
    vec![
        Cell::Number(job.id),
        Cell::text(job.kind.as_str()),
        Cell::text(job_state(job.progress.state)),
        Cell::of(job.progress.percent, |percent| Cell::Text(format!("{percent:.0}%"))),
        Cell::Moment(job.created),
        Cell::text(&job.subject),
    ]
}
