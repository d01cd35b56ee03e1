//! After a crash: jobs that a killed daemon left are undone or finished, and what differs between the state and the
//! pool is told.

use std::sync::Arc;

use cow_api::v1::{Code, JobReport, JobState, Problem};

use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::journal::{self, Journal, Settled};
use crate::virtualization::records::{Source, Timeflow};
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
    pub fn recover(&self, interrupted: Vec<(u64, Option<Occupied>)>) {
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

    /// Tries again what jobs that have ended still owe.
    pub fn settle_debts(&self) -> Answer<()> {
        for id in journal::debtors(&self.state)? {
            let Ok(job) = self.jobs.get(id) else { continue };
            if job.progress.state.has_ended() {
                let ticket = self.jobs.ticket(id)?;
                // Told as a fault where it fails again.
                let _ = self.settle(&ticket, &Journal::new(&self.state, id));
            }
        }
        self.close_journals()
    }

    /// Compares what is remembered with what is stored: what is missing, or nobody's, is told and left as it is.
    pub(super) fn reconcile(&self) -> Answer<()> {
        let (sources, timeflows) = self.state.read(|view| Ok((view.all::<Source>()?, view.all::<Timeflow>()?)))?;
        for Row { id, record: source } in sources.iter().filter(|row| !row.record.is_made) {
            // Its job owes nothing any more, or would have forgotten it.
            if self.busy.lock().contains(id) {
                continue;
            }
            tracing::warn!(source = source.name, "forgot a source that never came to be");
            self.state.write(|edit| forget(edit, *id))?;
        }
        for Row { record: timeflow, .. } in &timeflows {
            let subject = format!("dataset {}", timeflow.dataset);
            if self.store.exists(&timeflow.dataset)? {
                self.mend(&subject)?;
                continue;
            }
            let problem = Problem::new(Code::NotFound, format!("{} is gone, and a source needs it", timeflow.dataset));
            self.fault(&subject, &problem.with_hint("'cowctl undelete' may bring it back; else delete the source"))?;
        }
        self.reconcile_bookmarks()?;
        self.tell_strays(&sources)
    }

    fn tell_strays(&self, sources: &[Row<Source>]) -> Answer<()> {
        let folders: Vec<String> = sources.iter().map(|row| row.record.folder()).collect();
        for above in ["dsource", "vdb"] {
            for dataset in self.store.below(above)? {
                let is_ours =
                    folders.iter().any(|folder| dataset == *folder || dataset.starts_with(&format!("{folder}/")));
                if !is_ours && dataset != above {
                    tracing::warn!(dataset, "no source is known to which this dataset belongs; it is left as it is");
                }
            }
        }
        Ok(())
    }
}
