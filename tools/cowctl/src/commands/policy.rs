//! `cowctl policy`: what is done with dSources and VDBs again and again, and which snapshots are kept.

use cow_api::v1::{Keep, NewPolicy, Policies, Policy, PolicyChange, PolicyKind, PolicyRun, SourceRun, path};
use serde_json::Value;

use crate::arguments::{Command, Flag, Given};
use crate::commands::virtualization::{SNAPSHOT_PARAM, file, misused, required, table};
use crate::commands::{DETACH, NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::follow::follow;
use crate::output::one_line;
use crate::table::Cell;

const SCHEDULE: Flag = text("schedule", "CRON", "Run it then: minute, hour, day, month and day of the week");
const ZONE: Flag = text("zone", "NAME", "In this time zone, as Europe/Berlin; UTC by default");
const LAST: Flag = text("keep-last", "N", "Keep the last N snapshots");
const HOURLY: Flag = text("keep-hourly", "N", "Keep the newest of each of the last N hours that have one");
const DAILY: Flag = text("keep-daily", "N", "Of each of the last N days");
const WEEKLY: Flag = text("keep-weekly", "N", "Of each of the last N weeks");
const MONTHLY: Flag = text("keep-monthly", "N", "Of each of the last N months");
const YEARLY: Flag = text("keep-yearly", "N", "Of each of the last N years");
const DRY_RUN: Flag =
    Flag { short: Some('n'), long: "dry-run", value: None, about: "Say what it would do, and do nothing" };

const fn text(long: &'static str, value: &'static str, about: &'static str) -> Flag {
    Flag { short: None, long, value: Some(value), about }
}

pub const COMMAND: Command = Command {
    name: "policy",
    about: "Sync, snapshot and refresh by schedule, and keep what a grid says",
    operands: "list | add NAME KIND | VERB NAME | apply|unapply NAME SOURCE...",
    count: 1..=usize::MAX,
    flags: &[
        SCHEDULE,
        ZONE,
        LAST,
        HOURLY,
        DAILY,
        WEEKLY,
        MONTHLY,
        YEARLY,
        SNAPSHOT_PARAM,
        DRY_RUN,
        DETACH,
        NO_HEADER,
        PARSABLE,
    ],
    more: "Verbs: show, set, enable, disable, run and remove take a NAME.\n\
           Kinds: sync (dSources), snapshot and refresh (VDBs), retention (both).\n\
           A schedule has cron's five fields, as in '30 2 * * 1-5', or is @hourly, @daily, @weekly, @monthly or @yearly.\n\
           A retention policy keeps what any of its counts keeps, as 'restic forget' does, and removes the other snapshots;\n\
           never the newest, nor one that is bookmarked, held, mounted or needed by a job. set replaces all its counts.\n\
           As in: cowctl policy add thin retention --schedule '0 3 * * *' --keep-last 5 --keep-daily 14 --keep-monthly 12\n\
           \x20      cowctl policy apply thin sales test && cowctl policy run thin -n",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    let set = |name: &str, change: &PolicyChange, done: &str| {
        let policy: Policy = session.client.patch(&path::policy(name), change)?;
        session.output.result("policy", &policy, || session.output.line(&format!("{done} policy {name}")))
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    match words[..] {
        ["list"] => list(session, given),
        ["add", name, kind] => add(session, given, name, kind),
        ["show", name] => show(session, &session.client.get(&path::policy(name))?),
        ["set", name] => set(name, &change(given)?, "Changed"),
        ["enable", name] => set(name, &PolicyChange { is_enabled: Some(true), ..PolicyChange::default() }, "Enabled"),
        ["disable", name] => {
            set(name, &PolicyChange { is_enabled: Some(false), ..PolicyChange::default() }, "Disabled")
        }
        ["apply", name, ref to @ ..] if !to.is_empty() => {
            let change = PolicyChange { apply: names(to), ..PolicyChange::default() };
            set(name, &change, "Applied")
        }
        ["unapply", name, ref from @ ..] if !from.is_empty() => {
            let change = PolicyChange { unapply: names(from), ..PolicyChange::default() };
            set(name, &change, "Unapplied")
        }
        ["remove", name] => {
            let policy: Policy = session.client.delete(&path::policy(name))?;
            session.output.result("policy", &policy, || session.output.line(&format!("Removed policy {name}")))
        }
        ["run", name] => run_now(session, given, name),
        _ => Err(misused(&COMMAND)),
    }
}

fn add(session: &Session<'_>, given: &Given, name: &str, kind: &str) -> Result<(), Failure> {
    let unknown = || Failure::usage(format!("there is no kind '{kind}'"), "take sync, snapshot, refresh or retention");
    let new = NewPolicy {
        name: name.to_owned(),
        kind: PolicyKind::parse(kind).ok_or_else(unknown)?,
        schedule: required(&COMMAND, given, "schedule")?,
        zone: given.value("zone").map(str::to_owned),
        keep: keep(given)?,
        snapshot_parameters: snapshot_parameters(given)?,
        sources: Vec::new(),
    };
    show(session, &session.client.post(path::POLICIES, &new)?)
}

fn change(given: &Given) -> Result<PolicyChange, Failure> {
    Ok(PolicyChange {
        schedule: given.value("schedule").map(str::to_owned),
        zone: given.value("zone").map(str::to_owned),
        keep: keep(given)?,
        snapshot_parameters: snapshot_parameters(given)?,
        ..PolicyChange::default()
    })
}

fn snapshot_parameters(given: &Given) -> Result<Option<Value>, Failure> {
    given.value("snapshot-param-file").map(file).transpose()
}

/// The counts that are given; nothing, where none is.
fn keep(given: &Given) -> Result<Option<Keep>, Failure> {
    let mut is_given = false;
    let mut count = |flag: &Flag| {
        let Some(text) = given.value(flag.long) else { return Ok(0) };
        is_given = true;
        let wrong = || Failure::usage(format!("--{}: '{text}' is no count", flag.long), "give a number, as in 7");
        text.parse::<u32>().map_err(|_| wrong())
    };
    let keep = Keep {
        last: count(&LAST)?,
        hourly: count(&HOURLY)?,
        daily: count(&DAILY)?,
        weekly: count(&WEEKLY)?,
        monthly: count(&MONTHLY)?,
        yearly: count(&YEARLY)?,
    };
    Ok(is_given.then_some(keep))
}

/// The counts of a grid, as they are given.
fn counts(keep: &Keep) -> String {
    let counts = [
        ("last", keep.last),
        ("hourly", keep.hourly),
        ("daily", keep.daily),
        ("weekly", keep.weekly),
        ("monthly", keep.monthly),
        ("yearly", keep.yearly),
    ];
    let given = counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}"));
    given.collect::<Vec<_>>().join(", ")
}

fn list(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let policies: Policies = session.client.get(path::POLICIES)?;
    session.output.result("policies", &policies, || {
        let headings = ["name", "kind", "schedule", "zone", "enabled", "last", "next", "applied to"];
        let rows = policies.policies.iter().map(|policy| {
            vec![
                Cell::text(&policy.name),
                Cell::text(policy.kind.as_str()),
                Cell::text(&policy.schedule),
                Cell::text(&policy.zone),
                Cell::text(if policy.is_enabled { "yes" } else { "no" }),
                Cell::of(policy.last, Cell::Moment),
                Cell::of(policy.next, Cell::Moment),
                Cell::Text(policy.sources.join(", ")),
            ]
        });
        table(session, given, &headings, rows.collect())
    })
}

fn show(session: &Session<'_>, policy: &Policy) -> Result<(), Failure> {
    session.output.result("policy", policy, || {
        let sources = (!policy.sources.is_empty()).then(|| policy.sources.join(", "));
        let facts = [
            ("name", Cell::text(&policy.name)),
            ("kind", Cell::text(policy.kind.as_str())),
            ("schedule", Cell::text(&policy.schedule)),
            ("zone", Cell::text(&policy.zone)),
            ("keeps", Cell::of(policy.keep.as_ref().map(counts), Cell::text)),
            ("parameters", Cell::text(if policy.has_snapshot_parameters { "stored" } else { "-" })),
            ("enabled", Cell::text(if policy.is_enabled { "yes" } else { "no" })),
            ("applied to", Cell::of(sources, Cell::Text)),
            ("last", Cell::of(policy.last, Cell::Moment)),
            ("next", Cell::of(policy.next, Cell::Moment)),
        ];
        facts.iter().try_for_each(|(fact, cell)| session.output.line(&format!("{fact:12}  {}", cell.show(false))))
    })
}

fn run_now(session: &Session<'_>, given: &Given, name: &str) -> Result<(), Failure> {
    let is_dry = given.has("dry-run");
    let query = if is_dry { "?dry_run" } else { "" };
    let target = format!("{}{query}", path::policy_run(name));
    let mut run: PolicyRun = session.client.post(&target, &serde_json::json!({}))?;
    let mut failed = None;
    for source in run.sources.iter_mut().filter(|_| !given.has("detach")) {
        let Some(job) = source.job.take() else { continue };
        match follow(session, job.clone()) {
            Ok(ended) => source.job = Some(ended),
            Err(Failure::Problem(problem)) => (source.job, source.problem) = (Some(job), Some(*problem)),
            Err(other) => failed = Some(other),
        }
    }
    session.output.result("run", &run, || {
        run.sources.iter().flat_map(|source| lines(source, is_dry)).try_for_each(|line| session.output.line(&line))
    })?;
    let problem = run.sources.into_iter().find_map(|source| source.problem).map(Failure::from);
    failed.or(problem).map_or(Ok(()), Err)
}

/// What was done with a source, or would be.
fn lines(run: &SourceRun, is_dry: bool) -> Vec<String> {
    let state = match (&run.job, &run.problem) {
        (Some(job), Some(problem)) => format!("job {} failed: {}", job.id, one_line(&problem.detail)),
        (Some(job), None) => format!("job {} {}", job.id, job.progress.state.as_str()),
        (None, Some(problem)) => format!("not done: {}", one_line(&problem.detail)),
        (None, None) => "not done, only told".to_owned(),
    };
    let mut lines = vec![format!("{}: {state}", one_line(&run.what))];
    let verdicts = run.snapshots.iter().filter(|verdict| is_dry || verdict.kept.is_empty());
    lines.extend(verdicts.map(|verdict| match &verdict.kept[..] {
        [] => format!("  remove {}", one_line(&verdict.snapshot)),
        kept => format!("  keep   {}  ({})", one_line(&verdict.snapshot), one_line(&kept.join(", "))),
    }));
    lines.extend(run.timeflows.iter().map(|dataset| format!("  remove {}, which is over", one_line(dataset))));
    lines
}
