//! What answers look like to people, where several commands print the same.

use cow_api::size::ByteSize;
use cow_api::v1::{
    Damage, Dataset, Job, JobKind, JobReport, JobState, Origin, Snapshot, SourceReport, TransferReport, VerifyReport,
};

use crate::commands::Session;
use crate::failure::Failure;
use crate::output::{Tone, one_line};
use crate::table::Cell;

/// A fact about a dataset or snapshot, by the name of its column.
pub type Fact = (String, Cell);

/// All that is known of a dataset.
pub fn dataset_facts(dataset: &Dataset) -> Vec<Fact> {
    let facts = [
        ("name", Cell::text(&dataset.name)),
        ("type", Cell::text("dataset")),
        ("id", Cell::Number(dataset.id)),
        ("created", Cell::Moment(dataset.created)),
        ("referenced", Cell::Bytes(dataset.referenced)),
        ("exclusive", Cell::of(dataset.exclusive, Cell::Bytes)),
        ("origin", Cell::of(dataset.origin.as_ref(), origin)),
        ("share", Cell::of(dataset.share.as_ref(), Cell::text)),
        ("destroyed", Cell::of(dataset.destroyed, Cell::Moment)),
    ];
    let properties = dataset.properties.list().into_iter().map(|(name, value)| (name, Cell::Text(value)));
    facts.map(|(name, cell)| (name.to_owned(), cell)).into_iter().chain(properties).collect()
}

/// All that is known of a snapshot.
pub fn snapshot_facts(snapshot: &Snapshot) -> Vec<Fact> {
    let holds = (!snapshot.holds.is_empty()).then(|| snapshot.holds.join(","));
    let facts = [
        ("name", Cell::text(&snapshot.name)),
        ("type", Cell::text("snapshot")),
        ("id", Cell::Number(snapshot.id)),
        ("created", Cell::Moment(snapshot.created)),
        ("referenced", Cell::Bytes(snapshot.referenced)),
        ("exclusive", Cell::of(snapshot.exclusive, Cell::Bytes)),
        ("origin", Cell::of(snapshot.parent.as_ref(), origin)),
        ("commit", Cell::Number(snapshot.commit)),
        ("root", Cell::text(&snapshot.root_hash)),
        ("holds", Cell::of(holds, Cell::Text)),
        ("automatic", Cell::text(if snapshot.automatic { "yes" } else { "no" })),
        ("destroyed", Cell::of(snapshot.destroyed, Cell::Moment)),
    ];
    facts.map(|(name, cell)| (name.to_owned(), cell)).to_vec()
}

/// A snapshot by name, or by its number where it has none any more.
fn origin(origin: &Origin) -> Cell {
    Cell::Text(origin.name.clone().unwrap_or_else(|| format!("#{}", origin.id)))
}

/// Prints a job that has ended or goes on. A verification that found damage is a failure.
pub fn job(session: &Session<'_>, job: &Job) -> Result<(), Failure> {
    session.output.result("job", job, || match &job.report {
        Some(JobReport::Import(report) | JobReport::Export(report)) => transfer(session, job, report),
        Some(JobReport::Verify(report)) => verification(session, report),
        Some(JobReport::Source(report)) => source(session, job, report),
        Some(JobReport::Plain) | None => session.output.line(&job_line(job)),
    })?;
    match &job.report {
        Some(JobReport::Verify(report)) if !report.damage.is_empty() => Err(Failure::Told(10)),
        _ => Ok(()),
    }
}

/// A job in one line.
pub fn job_line(job: &Job) -> String {
    let percent = job.progress.percent.map_or_else(String::new, |percent| format!(" {percent:.0}%"));
    format!("job {}: {}, {}{percent}", job.id, one_line(&job.subject), job_state(job.progress.state))
}

/// A state as people say it.
pub fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

fn source(session: &Session<'_>, job: &Job, report: &SourceReport) -> Result<(), Failure> {
    let took = took(job);
    let stored = report.stored.map_or_else(String::new, |bytes| format!(", {} stored", ByteSize(bytes)));
    let snapshot = report.snapshot.as_ref().map_or_else(String::new, |name| format!(": {}", one_line(name)));
    let line = format!("{} of {} is done{took}{snapshot}{stored}", job.kind.as_str(), one_line(&report.source));
    session.output.line(&line)
}

/// How long a job took, behind a sentence.
fn took(job: &Job) -> String {
    job.started.zip(job.ended).map_or_else(String::new, |(started, ended)| {
        let seconds = (ended.seconds - started.seconds) as f64
            + (f64::from(ended.nanoseconds) - f64::from(started.nanoseconds)) / 1e9;
        format!(" in {seconds:.1}s")
    })
}

fn transfer(session: &Session<'_>, job: &Job, report: &TransferReport) -> Result<(), Failure> {
    let TransferReport { files, directories, others, bytes, warnings } = report;
    for warning in warnings {
        session.output.note(&format!("warning: {}", one_line(warning)));
    }
    let done = if job.kind == JobKind::Import { "Imported" } else { "Exported" };
    let bytes = ByteSize(*bytes);
    let took = took(job);
    session.output.line(&format!("{done} {files} files, {directories} directories and {others} others, {bytes}{took}"))
}

/// Prints what is damaged.
pub fn damage(session: &Session<'_>, damage: &Damage) -> Result<(), Failure> {
    let of = damage.dataset.as_deref().unwrap_or("pool");
    let path = damage.path.as_ref().map_or_else(String::new, |path| format!(" {path}"));
    let offset = damage.offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
    let line = one_line(&format!("{of}{path}{offset}: {}", damage.problem));
    session.output.line(&session.output.paint(Tone::Bad, &line))
}

fn verification(session: &Session<'_>, report: &VerifyReport) -> Result<(), Failure> {
    report.damage.iter().try_for_each(|found| damage(session, found))?;
    let read = format!("{} objects, {} read", report.objects, ByteSize(report.bytes));
    match report.damage.len() {
        0 => session.output.line(&session.output.paint(Tone::Good, &format!("All is well: {read}"))),
        1 => session.output.line(&format!("1 thing is damaged: {read}")),
        count => session.output.line(&format!("{count} things are damaged: {read}")),
    }
}
