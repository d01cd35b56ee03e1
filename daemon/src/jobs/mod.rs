//! Long work on threads of its own: progress, cancel, history.
//!
//! Invariant: no host's jobs hold all places, so that one that hangs stops nobody else's. A job ends exactly once, as done, failed or cancelled, also when its work panics; jobs that wait,
//! run and are remembered are bounded. What a killed daemon left unended stays so until [`Jobs::conclude`] says how
//! it ended.

mod history;
mod state;
mod ticket;

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cow_api::v1::{Code, Happening, Job, JobKind, JobLog, JobReport, JobState, Problem};
use parking_lot::{Condvar, Mutex};

use crate::events::Events;
pub use crate::jobs::history::Remembered;
use crate::jobs::state::State;
pub use crate::jobs::ticket::{News, Ticket};

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
    memory: Arc<crate::state::State>,
    state: Mutex<State>,
    changed: Condvar,
    /// For the threads of jobs.
    this: Weak<Self>,
}

impl Jobs {
    /// The jobs that `memory` knows of, and no others yet.
    pub fn new(limits: Limits, events: Arc<Events>, memory: Arc<crate::state::State>) -> Result<Arc<Self>, Problem> {
        let remembered = history::all(&memory)?;
        Ok(Arc::new_cyclic(|this: &Weak<Self>| {
            let mut state = State::default();
            for job in remembered {
                let ticket = ticket(this, job.job.id);
                state.restore(job, ticket);
            }
            Self { limits, events, memory, state: Mutex::new(state), changed: Condvar::new(), this: this.clone() }
        }))
    }

    /// Begins a job, or queues it behind others. `Unavailable` when too many wait, or the daemon stops.
    pub fn start(&self, kind: JobKind, subject: &str, work: Work) -> Result<Job, Problem> {
        self.start_on(BTreeSet::new(), kind, subject, work)
    }

    /// The same for one that works on hosts, which have numbers.
    pub fn start_on(&self, hosts: BTreeSet<u64>, kind: JobKind, subject: &str, work: Work) -> Result<Job, Problem> {
        let mut state = self.state.lock();
        let refused = |why: &str| Problem::new(Code::Unavailable, format!("cannot begin {subject}: {why}"));
        if state.is_stopping {
            return Err(refused("the daemon is stopping"));
        }
        if state.queued() >= QUEUED_MAX {
            return Err(refused("too many jobs wait").with_hint("wait for some to end, or cancel them"));
        }
        let id = state.add(kind, subject, (hosts, work), |id| ticket(&self.this, id));
        // A job that is done but forgotten would be bad, one that cannot begin is only late.
        if let Some(remembered) = state.remembered(id)
            && let Err(problem) = history::save(&self.memory, &remembered)
        {
            let _work = state.unqueue(id);
            state.end(id, Err(problem.clone()));
            return Err(refused(&problem.detail));
        }
        self.begin_some(&mut state);
        let job = state.shown(id)?;
        // Told with the lock held, so that no later news of the job comes before this.
        self.tell(&job);
        Ok(job)
    }

    /// Gives queued jobs threads, as far as the limit allows.
    fn begin_some(&self, state: &mut State) {
        while let Some((id, ticket, work)) = state.begin_next(self.limits.running) {
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
        let Some(job) = state.end(id, outcome) else { return };
        self.remember(state, id);
        while let Some(oldest) = state.forget(self.limits.kept) {
            if let Err(problem) = history::forget(&self.memory, oldest) {
                tracing::warn!(job = oldest, %problem, "cannot forget an old job");
            }
        }
        self.tell(&job);
        self.changed.notify_all();
    }

    fn remember(&self, state: &State, id: u64) {
        if let Some(remembered) = state.remembered(id)
            && let Err(problem) = history::save(&self.memory, &remembered)
        {
            tracing::error!(job = id, %problem, "cannot remember how far a job is");
        }
    }

    fn hear(&self, id: u64, news: News) {
        let state = self.state.lock();
        if news == News::Step {
            self.remember(&state, id);
        }
        if let Ok(job) = state.shown(id) {
            self.tell(&job);
        }
    }

    /// Jobs that an earlier daemon did not see the end of.
    pub fn interrupted(&self) -> Vec<Job> {
        let state = self.state.lock();
        state.interrupted().into_iter().filter_map(|id| state.shown(id).ok()).collect()
    }

    /// The ticket of a job that was interrupted, to go on telling what happens.
    pub fn ticket(&self, id: u64) -> Result<Arc<Ticket>, Problem> {
        self.state.lock().ticket(id).cloned()
    }

    /// Says how a job that was interrupted has ended.
    pub fn conclude(&self, id: u64, outcome: Result<JobReport, Problem>) {
        self.end(&mut self.state.lock(), id, outcome);
    }

    /// What happened in a job.
    pub fn log(&self, id: u64) -> Result<JobLog, Problem> {
        Ok(JobLog { lines: self.state.lock().ticket(id)?.lines() })
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

fn ticket(jobs: &Weak<Jobs>, id: u64) -> Ticket {
    let jobs = jobs.clone();
    let tell = move |news| {
        if let Some(jobs) = jobs.upgrade() {
            jobs.hear(id, news);
        }
    };
    Ticket::new(id, Box::new(tell))
}

#[cfg(test)]
mod tests;
