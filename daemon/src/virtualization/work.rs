//! Jobs of recipes: one at a time for each source, undone or finished when they end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cow_api::v1::{self, Code, JobKind, JobLevel, JobReport, Problem, SourceReport};

use crate::clock;
use crate::jobs::Ticket;
use crate::service::Answer;
use crate::state::{Edit, Row};
use crate::virtualization::Virtualization;
use crate::virtualization::act::Act;
use crate::virtualization::journal::{self, Journal, Settled};
use crate::virtualization::outside::IsCancelled;
use crate::virtualization::records::{Fault, Hook, Source, Timeflow};
use crate::virtualization::run::{Job, Run};

/// The number that stands for no job.
pub const ASIDE: u64 = 0;

/// A source that a job works on, until this is dropped.
pub struct Occupied {
    by: Arc<Virtualization>,
    source: u64,
    /// Whether only its name is taken, by a job that has not begun: one that never does gives it back.
    is_reserved: bool,
}

impl Occupied {
    /// The source as it is now that nothing else changes it.
    pub fn row(&self) -> Answer<Row<Source>> {
        self.by.state.read(|view| view.get(self.source))
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        if self.is_reserved
            && let Err(problem) = self.by.state.write(|edit| forget(edit, self.source))
        {
            tracing::error!(%problem, "a name stays taken until the next start, which forgets it");
        }
        self.by.busy.lock().remove(&self.source);
    }
}

/// Forgets a source that never came to be.
pub fn forget(edit: &Edit<'_>, source: u64) -> Answer<()> {
    edit.remove_owned::<Timeflow>(source)?;
    edit.remove_owned::<Hook>(source)?;
    edit.remove::<Source>(source)
}

impl Virtualization {
    /// Keeps other jobs from a source. `Busy` while one works on it.
    pub(super) fn occupy(self: &Arc<Self>, row: &Row<Source>) -> Answer<Occupied> {
        if self.busy.lock().insert(row.id) {
            return Ok(Occupied { by: self.clone(), source: row.id, is_reserved: false });
        }
        let problem = Problem::new(Code::Busy, format!("another job works on {}", row.record.name));
        Err(problem.with_hint("'cowctl job list' shows it: wait for its end, or cancel it"))
    }

    /// Keeps other jobs from a source that is only a name until its job makes it.
    pub(super) fn occupy_reserved(self: &Arc<Self>, row: &Row<Source>) -> Answer<Occupied> {
        let mut occupied = self.occupy(row)?;
        occupied.is_reserved = true;
        Ok(occupied)
    }

    /// Begins a job that follows a recipe. What the recipe returns is the full name of the snapshot that it took.
    pub(super) fn begin(
        self: &Arc<Self>,
        kind: JobKind,
        occupied: Occupied,
        recipe: impl FnOnce(Run<'_>) -> Answer<Option<String>> + Send + 'static,
    ) -> Answer<v1::Job> {
        self.begin_also_on(None, kind, occupied, recipe)
    }

    /// The same for one that works on another environment besides the source's.
    pub(super) fn begin_also_on(
        self: &Arc<Self>,
        other: Option<u64>,
        kind: JobKind,
        mut occupied: Occupied,
        recipe: impl FnOnce(Run<'_>) -> Answer<Option<String>> + Send + 'static,
    ) -> Answer<v1::Job> {
        let row = occupied.row()?;
        self.check_owes_nothing(&row.record)?;
        let (this, name) = (self.clone(), row.record.name.clone());
        let hooks = self.state.read(|view| view.owned::<Hook>(row.id))?;
        let of_hooks = hooks.iter().filter_map(|hook| hook.record.place.as_ref()).map(|place| place.environment);
        let hosts = row.record.environments().chain(of_hooks).chain(other).collect();
        let work = move |ticket: &Ticket| {
            let source = row.record.name.clone();
            let before = this.store.live()?;
            let snapshot = this.follow(ticket, &mut occupied, row, recipe)?;
            // Not what the job is judged by.
            let after = this.store.live().ok().filter(|_| snapshot.is_some());
            let stored = after.map(|after| after.saturating_sub(before));
            Ok(JobReport::Source(SourceReport { source, snapshot, stored }))
        };
        self.jobs.start_on(hosts, kind, &name, Box::new(work))
    }

    /// Has a source's plugin do something that is no job: nothing of it is ever to be undone. What it logs as errors is logged.
    pub(super) fn aside<T>(
        &self,
        row: Row<Source>,
        is_cancelled: IsCancelled<'_>,
        act: impl FnOnce(&Run<'_>) -> Answer<T>,
    ) -> Answer<T> {
        let (ticket, journal) = (Ticket::new(ASIDE, Box::new(|_| {})), Journal::new(&self.state, ASIDE));
        let name = row.record.name.clone();
        let job = Job { on: self, ticket: &ticket, journal: &journal, is_cancelled };
        let outcome = act(&job.run(row)?);
        for line in ticket.lines().iter().filter(|line| line.level == JobLevel::Error) {
            tracing::warn!(source = name, line = line.text, "the plugin says");
        }
        outcome
    }

    /// Fails while what an earlier job had begun with a source is still to be undone, which would undo what comes now.
    fn check_owes_nothing(&self, source: &Source) -> Answer<()> {
        self.close_journals()?;
        for id in journal::debtors(&self.state)? {
            let Ok(job) = self.jobs.get(id) else { continue };
            if job.subject == source.name && job.progress.state.has_ended() {
                let problem =
                    Problem::new(Code::Busy, format!("{} still waits for job {id} to be undone", source.name));
                return Err(problem.with_hint("'cowctl fault' tells why; it is tried again every minute"));
            }
        }
        Ok(())
    }

    fn follow(
        &self,
        ticket: &Ticket,
        occupied: &mut Occupied,
        row: Row<Source>,
        recipe: impl FnOnce(Run<'_>) -> Answer<Option<String>>,
    ) -> Answer<Option<String>> {
        let journal = Journal::new(&self.state, ticket.id());
        if occupied.is_reserved {
            journal.promise(Act::Forget { source: row.id })?;
            occupied.is_reserved = false;
        }
        let job = Job { on: self, ticket, journal: &journal, is_cancelled: &|| ticket.is_cancelled() };
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(row).and_then(recipe))).unwrap_or_else(|_| {
            let problem = Problem::new(Code::Internal, format!("job {} panicked", ticket.id()));
            Err(problem.with_hint("the daemon's log says where; please report it"))
        });
        let outcome = outcome.map_err(|problem| if ticket.is_cancelled() { cancelled(problem) } else { problem });
        if let Err(problem) = &outcome {
            ticket.note(JobLevel::Error, problem.detail.clone());
        }
        let settled = self.settle(ticket, &journal);
        match (outcome, settled) {
            (Ok(snapshot), _) => Ok(snapshot),
            (Err(problem), Ok(Settled::Undone)) => Err(told(problem, "what it had begun was undone")),
            (Err(problem), Ok(_)) => Err(problem),
            (Err(problem), Err(left)) => Err(told(problem, &format!("and it is not undone yet: {}", left.detail))),
        }
    }

    /// Does what a job owes. What it cannot do is a fault, and tried again.
    pub(super) fn settle(&self, ticket: &Ticket, journal: &Journal<'_>) -> Result<Settled, Problem> {
        // Nobody cancels what sets the world right: it would only be owed for longer.
        let job = Job { on: self, ticket, journal, is_cancelled: &|| false };
        let settled = journal.settle(ticket, |act| self.perform(act, &job));
        let subject = format!("job {}", ticket.id());
        let noted = match &settled {
            Ok(_) => self.mend(&subject),
            Err(problem) => self.fault(&subject, problem),
        };
        if let Err(problem) = noted {
            tracing::error!(job = ticket.id(), %problem, "cannot write down whether all is undone");
        }
        settled
    }

    /// Drops the journals of jobs that have ended and owe nothing.
    pub(super) fn close_journals(&self) -> Answer<()> {
        for job in journal::debtors(&self.state)? {
            if self.jobs.get(job).map_or(true, |job| job.progress.state.has_ended()) {
                journal::close(&self.state, job)?;
            }
        }
        Ok(())
    }

    /// Writes down a lasting bad state.
    pub(super) fn fault(&self, subject: &str, problem: &Problem) -> Answer<()> {
        let (detail, hint) = (problem.detail.clone(), problem.hint.clone());
        let known = self.state.read(|view| view.find::<Fault>(0, subject))?;
        if known.is_some_and(|row| row.record.detail == detail && row.record.hint == hint) {
            return Ok(());
        }
        tracing::error!(subject, problem = %problem.detail, "fault");
        let since = clock::time(clock::now());
        self.state.write(|edit| match edit.find::<Fault>(0, subject)? {
            Some(row) => edit.update(row.id, &Fault { detail, hint, ..row.record }),
            None => edit.insert(&Fault { subject: subject.to_owned(), detail, hint, since }).map(drop),
        })
    }

    /// A bad state is over.
    pub(super) fn mend(&self, subject: &str) -> Answer<()> {
        match self.state.read(|view| view.find::<Fault>(0, subject))? {
            Some(row) => self.state.write(|edit| edit.remove::<Fault>(row.id)),
            None => Ok(()),
        }
    }
}

/// A plugin may make another failure of what it could not do any more.
fn cancelled(problem: Problem) -> Problem {
    let is_ours = problem.code == Code::Internal;
    if is_ours { problem } else { Problem { code: Code::Cancelled, ..problem } }
}

fn told(problem: Problem, end: &str) -> Problem {
    Problem { detail: format!("{}; {end}", problem.detail), ..problem }
}
