//! After a crash: jobs that a killed daemon left are undone or finished, and what then differs between the state and the
//! pool is mended or told.

use std::sync::Arc;

use cow_api::v1::{Code, JobReport, JobState, Problem};

use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::journal::{self, Journal, Settled};
use crate::virtualization::records::Source;
use crate::virtualization::work::{Occupied, forget};

impl Virtualization {
    /// Says of jobs that an earlier daemon left how they ended, once they are undone or finished. To be called before
    /// new ones begin; what it returns keeps sources from new jobs, and is to be handed to [`Self::recover`].
    pub fn interrupted(self: &Arc<Self>) -> Answer<Vec<(u64, Option<Occupied>)>> {
        let sources = self.state.read(|view| view.all::<Source>())?;
        let occupied = |name: &str| {
            let row: Option<&Row<Source>> = sources.iter().find(|row| row.record.name == name);
            row.and_then(|row| self.occupy(row).ok())
        };
        Ok(self.jobs.interrupted().iter().map(|job| (job.id, occupied(&job.subject))).collect())
    }

    /// Undoes or finishes jobs that an earlier daemon left, and compares the state with the pool.
    pub fn recover(self: &Arc<Self>, interrupted: Vec<(u64, Option<Occupied>)>) {
        for (id, occupied) in interrupted {
            let outcome = self.concluded(id);
            let ended = outcome.as_ref().map_or_else(|problem| problem.detail.clone(), |_| "done".to_owned());
            tracing::warn!(job = id, ended, "a job was cut off by the end of the daemon before");
            self.jobs.conclude(id, outcome);
            drop(occupied);
        }
        if let Err(problem) = self.close_journals().and_then(|()| self.reconcile()) {
            tracing::error!(%problem, "cannot compare cowd's state with the pool");
        }
    }

    fn concluded(&self, id: u64) -> Result<JobReport, Problem> {
        let ticket = self.jobs.ticket(id)?;
        // One that had not come to its first step is remembered as waiting, but may owe something.
        let was_queued = self.jobs.get(id)?.progress.state == JobState::Queued;
        let stopped = |end: &str| Problem::new(Code::Unavailable, format!("the daemon stopped while it ran{end}"));
        match self.settle(&ticket, &Journal::new(&self.state, id)) {
            Ok(Settled::Finished) => Ok(JobReport::Plain),
            Ok(Settled::Undone) => Err(stopped("; what it had begun was undone").with_hint("begin it again")),
            Ok(Settled::Clear) if was_queued => {
                Err(Problem::new(Code::Cancelled, "the daemon stopped before it began"))
            }
            Ok(Settled::Clear) => Err(stopped("").with_hint("begin it again")),
            Err(left) => Err(stopped(&format!("; it is not undone yet: {}", left.detail))),
        }
    }

    /// Tries again what jobs that have ended still owe, and looks again at what differed.
    pub fn settle_debts(self: &Arc<Self>) -> Answer<()> {
        for id in journal::debtors(&self.state)? {
            let Ok(job) = self.jobs.get(id) else { continue };
            if job.progress.state.has_ended() {
                let ticket = self.jobs.ticket(id)?;
                // Told as a fault where it fails again.
                let _ = self.settle(&ticket, &Journal::new(&self.state, id));
            }
        }
        self.close_journals()?;
        self.compare_again()
    }

    /// Makes the state, the pool and this host agree, or tells where they do not.
    pub(super) fn reconcile(self: &Arc<Self>) -> Answer<()> {
        let sources = self.state.read(|view| view.all::<Source>())?;
        for Row { id, record: source } in sources.iter().filter(|row| !row.record.is_made) {
            // Its job owes nothing any more, or would have forgotten it.
            if self.busy.lock().contains(id) {
                continue;
            }
            tracing::warn!(source = source.name, "forgot a source that never came to be");
            self.state.write(|edit| forget(edit, *id))?;
        }
        self.reconcile_bookmarks()?;
        self.compare()
    }
}
