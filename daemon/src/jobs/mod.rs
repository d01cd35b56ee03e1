//! Long work on threads of its own: progress, cancel, history.
//!
//! Invariant: a job ends exactly once, as done, failed or cancelled, also when its work panics; jobs that wait,
//! run and are remembered are bounded.

mod state;
mod ticket;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cow_api::v1::{Code, Happening, Job, JobKind, JobReport, JobState, Problem};
use parking_lot::{Condvar, Mutex};

use crate::events::Events;
use crate::jobs::state::State;
pub use crate::jobs::ticket::Ticket;

/// Most jobs that wait.
const QUEUED_MAX: usize = 1000;

/// What a job does. It is told to stop by [`Ticket::progress`].
pub type Work = Box<dyn FnOnce(&Ticket) -> Result<JobReport, Problem> + Send>;

/// How many jobs there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At once.
    pub running: usize,
    /// Remembered after they have ended.
    pub kept: usize,
}

/// All jobs.
pub struct Jobs {
    limits: Limits,
    events: Arc<Events>,
    state: Mutex<State>,
    changed: Condvar,
    /// For the threads of jobs.
    this: Weak<Self>,
}

impl Jobs {
    /// No jobs yet.
    pub fn new(limits: Limits, events: Arc<Events>) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let (state, changed, this) = (Mutex::default(), Condvar::new(), this.clone());
            Self { limits, events, state, changed, this }
        })
    }

    /// Begins a job, or queues it behind others. `Unavailable` when too many wait, or the daemon stops.
    pub fn start(&self, kind: JobKind, subject: &str, work: Work) -> Result<Job, Problem> {
        let mut state = self.state.lock();
        let refused = |why: &str| Problem::new(Code::Unavailable, format!("cannot begin {subject}: {why}"));
        if state.is_stopping {
            return Err(refused("the daemon is stopping"));
        }
        if state.queued() >= QUEUED_MAX {
            return Err(refused("too many jobs wait").with_hint("wait for some to end, or cancel them"));
        }
        let this = self.this.clone();
        let id = state.add(kind, subject, work, |id| {
            Ticket::new(Box::new(move || {
                if let Some(jobs) = this.upgrade() {
                    jobs.tell_progress(id);
                }
            }))
        });
        self.begin_some(&mut state);
        let job = state.shown(id)?;
        // Told with the lock held, so that no later news of the job comes before this.
        self.tell(&job);
        Ok(job)
    }

    /// Gives queued jobs threads, as far as the limit allows.
    fn begin_some(&self, state: &mut State) {
        while state.running() < self.limits.running
            && let Some((id, ticket, work)) = state.begin_next()
        {
            let Some(jobs) = self.this.upgrade() else { return };
            let run = move || jobs.run(id, &ticket, work);
            if let Err(error) = std::thread::Builder::new().name(format!("job-{id}")).spawn(run) {
                let problem = Problem::new(Code::Unavailable, format!("cannot begin a thread for job {id}: {error}"));
                self.end(state, id, Err(problem));
            }
        }
    }

    fn run(&self, id: u64, ticket: &Ticket, work: Work) {
        ticket.begin();
        let outcome = catch_unwind(AssertUnwindSafe(|| work(ticket))).unwrap_or_else(|_| {
            Err(Problem::new(Code::Internal, format!("job {id} panicked")).with_hint("the daemon's log says where"))
        });
        let mut state = self.state.lock();
        self.end(&mut state, id, outcome);
        self.begin_some(&mut state);
    }

    fn end(&self, state: &mut State, id: u64, outcome: Result<JobReport, Problem>) {
        if let Some(job) = state.end(id, outcome, self.limits.kept) {
            self.tell(&job);
            self.changed.notify_all();
        }
    }

    fn tell_progress(&self, id: u64) {
        let state = self.state.lock();
        if let Ok(job) = state.shown(id) {
            self.tell(&job);
        }
    }

    fn tell(&self, job: &Job) {
        self.events.publish(Happening::Job { job: Box::new(job.clone()) });
    }

    /// A job.
    pub fn get(&self, id: u64) -> Result<Job, Problem> {
        self.state.lock().shown(id)
    }

    /// All jobs that are remembered, the newest first.
    pub fn list(&self) -> Vec<Job> {
        self.state.lock().list()
    }

    /// Jobs that wait or run.
    pub fn active(&self) -> usize {
        let state = self.state.lock();
        state.queued() + state.running()
    }

    /// How many jobs have ended how, since the daemon started.
    pub fn ended(&self) -> HashMap<(JobKind, JobState), u64> {
        self.state.lock().ended.clone()
    }

    /// Asks a job to stop. One that waits ends now, one that runs when it next looks.
    pub fn cancel(&self, id: u64) -> Result<Job, Problem> {
        let _dropped_last;
        let mut state = self.state.lock();
        let job = state.shown(id)?;
        match job.progress.state {
            JobState::Queued => {
                _dropped_last = state.unqueue(id);
                self.end(&mut state, id, Err(Problem::new(Code::Cancelled, format!("job {id} was cancelled"))));
            }
            JobState::Running => state.ticket(id)?.cancel(),
            JobState::Done | JobState::Failed | JobState::Cancelled => {
                return Err(Problem::new(Code::Conflict, format!("cannot cancel job {id}: it has ended")));
            }
        }
        state.shown(id).or(Ok(job))
    }

    /// Waits until a job has ended, or for `patience`.
    pub fn wait(&self, id: u64, patience: Duration) -> Result<Job, Problem> {
        let until = Instant::now() + patience;
        let mut state = self.state.lock();
        loop {
            let job = state.shown(id)?;
            if job.progress.state.has_ended() || self.changed.wait_until(&mut state, until).timed_out() {
                return Ok(job);
            }
        }
    }

    /// Takes no more jobs, cancels all, and waits until none runs, or for `patience`. Returns whether none does.
    pub fn stop(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut dropped_last = Vec::new();
        let mut state = self.state.lock();
        state.is_stopping = true;
        while let Some((id, work)) = state.unqueue_first() {
            dropped_last.push(work);
            self.end(&mut state, id, Err(Problem::new(Code::Cancelled, "the daemon stopped before it began")));
        }
        state.cancel_all();
        while state.running() > 0 {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return state.running() == 0;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
