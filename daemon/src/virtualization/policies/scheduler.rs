//! Runs policies when they are due.
//!
//! Invariant: a policy that was due, however often, while nobody looked runs once. With a source that another job works
//! on it begins when that has ended, also after a restart; what fails is a fault, and tried again when it is due again.

use std::sync::Arc;
use std::time::Duration;

use cow_api::time::Time;
use cow_api::v1::{Code, JobState, PolicyKind, Problem};

use crate::actions::Asked;
use crate::calendar::{Cron, Zone};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::policies::Policy;
use crate::virtualization::records::Source;

/// How long to wait while a job runs or is waited for.
const SOON: Duration = Duration::from_secs(1);
/// How long to wait at most, as clocks may be set.
const REST_MAX: Duration = Duration::from_secs(60);
/// A clock that is set back by more than this was wrong before.
const BACK_SECONDS_MAX: i64 = 3600;
/// No more missed times are counted.
const MISSED_MAX: usize = 1000;

/// What tells the time to schedules. Tests have one of their own.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The present.
    pub now: fn() -> Time,
    /// How long it can be left unseen.
    pub rest_max: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: || crate::clock::time(crate::clock::now()), rest_max: REST_MAX }
    }
}

/// Runs policies when they are due.
#[derive(Default)]
pub struct Scheduler {
    /// Jobs that it began, and what their faults are told of.
    watched: Vec<(u64, String)>,
}

impl Scheduler {
    /// Begins what is due. Returns how long to wait before it is to be called again.
    pub fn tick(&mut self, on: &Arc<Virtualization>, now: Time) -> Duration {
        self.hear(on);
        let looked = on.state.read(|view| view.all::<Policy>()).map(|rows| {
            let mut rests = vec![REST_MAX];
            for row in rows.into_iter().filter(|row| row.record.is_enabled) {
                let subject = format!("policy {}", row.record.name);
                let outcome = self.look(on, row, now).map(|rest| rests.push(rest));
                let told = outcome.map_or_else(|problem| on.fault(&subject, &problem), |()| on.mend(&subject));
                if let Err(problem) = told {
                    tracing::error!(subject, %problem, "cannot write down how a policy is");
                }
            }
            rests.into_iter().min().unwrap_or(REST_MAX)
        });
        let rest = looked.unwrap_or_else(|problem| {
            tracing::error!(%problem, "cannot look which policies are due");
            REST_MAX
        });
        if self.watched.is_empty() { rest } else { rest.min(SOON) }
    }

    /// Takes note of jobs that have ended.
    fn hear(&mut self, on: &Virtualization) {
        self.watched.retain(|(id, subject)| {
            let Ok(job) = on.jobs.get(*id) else { return false };
            let told = match (job.progress.state, &job.problem) {
                (JobState::Queued | JobState::Running, _) => return true,
                (JobState::Failed, Some(problem)) => on.fault(subject, problem),
                (JobState::Done, _) => on.mend(subject),
                _ => Ok(()),
            };
            if let Err(problem) = told {
                tracing::error!(subject, %problem, "cannot write down how a policy's job ended");
            }
            false
        });
    }

    /// Begins what is due of a policy. Returns how long it has time.
    fn look(&mut self, on: &Arc<Virtualization>, row: Row<Policy>, now: Time) -> Answer<Duration> {
        let Row { id, record: mut policy } = row;
        let (cron, zone) = policy.times()?;
        let (was_since, was_pending) = (policy.since, policy.pending.clone());
        if policy.since.seconds > now.seconds + BACK_SECONDS_MAX {
            tracing::info!(policy = policy.name, "the clock was set back: what is due counts from now on");
            policy.since = now;
        }
        if let Some(due) = cron.next_after(&zone, policy.since).filter(|due| *due <= now) {
            tell_missed(&policy, &cron, &zone, due, now);
            for source in std::mem::replace(&mut policy.pending, policy.sources.clone()) {
                passed_over(on, &policy, source)?;
            }
            (policy.last, policy.since) = (Some(now), now);
            // First of all: what is due is begun by a later daemon, if it has to be.
            keep(on, id, &policy)?;
        }
        let due = std::mem::take(&mut policy.pending);
        for source in due {
            if !self.begin(on, &policy, source)? {
                policy.pending.push(source);
            }
        }
        if policy.since != was_since || policy.pending != was_pending {
            keep(on, id, &policy)?;
        }
        let next =
            cron.next_after(&zone, policy.since).map_or(REST_MAX.as_secs() as i64, |next| next.seconds - now.seconds);
        let rest = Duration::from_secs(next.max(0) as u64);
        Ok(if policy.pending.is_empty() { rest } else { rest.min(SOON) })
    }

    /// Begins what a policy does with a source. Returns whether that is settled, or is to be tried again soon.
    fn begin(&mut self, on: &Arc<Virtualization>, policy: &Policy, source: u64) -> Answer<bool> {
        let Some(row) = found(on, source)? else { return Ok(true) };
        let name = row.record.name.clone();
        if !row.record.is_enabled && policy.kind != PolicyKind::Retention {
            tracing::info!(policy = policy.name, source = name, "left out, as it is disabled");
            return Ok(true);
        }
        let begun = on.submit(policy, row);
        let is_later = |problem: &Problem| [Code::Busy, Code::Unavailable].contains(&problem.code);
        if !begun.as_ref().is_err_and(is_later) {
            let who = format!("policy {}", policy.name);
            let (what, request) = (format!("Run the {} policy", policy.kind.as_str()), "schedule".to_owned());
            let details = [("name".to_owned(), name.clone())].into();
            on.actions.record(Asked { who, what, request, details }, begun.as_ref().map(|job| Some(job.id)));
        }
        match begun {
            Ok(job) => {
                tracing::info!(policy = policy.name, source = name, job = job.id, "begun as it was due");
                self.watched.push((job.id, policy.fault(&name)));
                Ok(true)
            }
            Err(problem) if is_later(&problem) => Ok(false),
            Err(problem) => on.fault(&policy.fault(&name), &problem).map(|()| true),
        }
    }
}

fn found(on: &Virtualization, source: u64) -> Answer<Option<Row<Source>>> {
    Ok(on.state.read(|view| view.all::<Source>())?.into_iter().find(|row| row.id == source))
}

/// Writes down how far a policy is, as far as nobody else does.
fn keep(on: &Virtualization, id: u64, policy: &Policy) -> Answer<()> {
    on.state.write(|edit| {
        let Some(mut row) = edit.all::<Policy>()?.into_iter().find(|row| row.id == id) else { return Ok(()) };
        let applied = |source: &&u64| row.record.sources.contains(source);
        row.record.pending = policy.pending.iter().filter(applied).copied().collect();
        (row.record.last, row.record.since) = (policy.last, policy.since);
        edit.update(id, &row.record)
    })
}

fn tell_missed(policy: &Policy, cron: &Cron, zone: &Zone, due: Time, now: Time) {
    let next = |after: &Time| cron.next_after(zone, *after).filter(|next| *next <= now);
    let missed = std::iter::successors(next(&due), next).take(MISSED_MAX).count();
    if missed > 0 {
        tracing::info!(policy = policy.name, missed, since = %due, "was due while nobody looked, and runs once for it");
    }
}

/// It is due again, and could not begin since it was due before.
fn passed_over(on: &Virtualization, policy: &Policy, source: u64) -> Answer<()> {
    let Some(row) = found(on, source)? else { return Ok(()) };
    let detail = format!("{} did nothing with {}: others worked on it all the time", policy.name, row.record.name);
    let problem = Problem::new(Code::Busy, detail).with_hint("'cowctl job list' shows them; give it more time");
    on.fault(&policy.fault(&row.record.name), &problem)
}
