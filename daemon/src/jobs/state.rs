//! Which jobs there are, and how far each is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use cow_api::v1::{Code, Job, JobKind, JobReport, JobState, Problem, Progress};

use crate::clock;
use crate::jobs::history::Remembered;
use crate::jobs::{Ticket, Work};

/// Which jobs there are.
#[derive(Default)]
pub struct State {
    last_id: u64,
    jobs: BTreeMap<u64, Entry>,
    queue: VecDeque<(u64, Work)>,
    running: usize,
    /// How many run on each host.
    on_hosts: HashMap<u64, usize>,
    ended_count: usize,
    /// How many have ended how, forgotten ones too.
    pub ended: HashMap<(JobKind, JobState), u64>,
    /// Whether no more are taken.
    pub is_stopping: bool,
}

struct Entry {
    job: Job,
    ticket: Arc<Ticket>,
    /// The hosts that it works on.
    hosts: BTreeSet<u64>,
    /// Whether it was cut off by the end of an earlier daemon, and nobody has said yet how it ended.
    is_interrupted: bool,
}

impl Entry {
    fn state(&self) -> JobState {
        self.job.progress.state
    }

    fn shown(&self) -> Job {
        let running = self.state() == JobState::Running && !self.is_interrupted;
        let progress = if running { self.ticket.shown(JobState::Running) } else { self.job.progress };
        Job { progress, ..self.job.clone() }
    }
}

impl State {
    /// Adds a job to the queue, with the hosts that it works on and the ticket that its number gets.
    pub fn add(
        &mut self,
        kind: JobKind,
        subject: &str,
        (hosts, work): (BTreeSet<u64>, Work),
        ticket: impl FnOnce(u64) -> Ticket,
    ) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let job = Job {
            id,
            kind,
            subject: subject.to_owned(),
            progress: Progress {
                state: JobState::Queued,
                percent: None,
                bytes_done: 0,
                bytes_total: None,
                rate: 0.0,
                eta_seconds: None,
            },
            created: clock::time(clock::now()),
            started: None,
            ended: None,
            problem: None,
            report: None,
        };
        self.jobs.insert(id, Entry { job, ticket: Arc::new(ticket(id)), hosts, is_interrupted: false });
        self.queue.push_back((id, work));
        id
    }

    /// Takes over a job of an earlier daemon.
    pub fn restore(&mut self, remembered: Remembered, ticket: Ticket) {
        let Remembered { job, lines } = remembered;
        ticket.restore(lines);
        let (id, is_interrupted) = (job.id, !job.progress.state.has_ended());
        self.ended_count += usize::from(!is_interrupted);
        self.last_id = self.last_id.max(id);
        self.jobs.insert(id, Entry { job, ticket: Arc::new(ticket), hosts: BTreeSet::new(), is_interrupted });
    }

    /// Jobs of an earlier daemon of which nobody has said how they ended.
    pub fn interrupted(&self) -> Vec<u64> {
        self.jobs.iter().filter(|(_, entry)| entry.is_interrupted).map(|(id, _)| *id).collect()
    }

    /// A job as it is to be remembered.
    pub fn remembered(&self, id: u64) -> Option<Remembered> {
        let entry = self.jobs.get(&id)?;
        Some(Remembered { job: entry.shown(), lines: entry.ticket.lines() })
    }

    /// Moves the first of the queue that may begin to those that run, of which there are at most `running_max`. The last
    /// place is for none whose host has all others.
    pub fn begin_next(&mut self, running_max: usize) -> Option<(u64, Arc<Ticket>, Work)> {
        if self.running >= running_max {
            return None;
        }
        // With one place alone there is none to keep free.
        let host_max = running_max.saturating_sub(1).max(1);
        let has_place = |host: &u64| self.on_hosts.get(host).is_none_or(|count| *count < host_max);
        let may_begin = |id: &u64| self.jobs.get(id).is_some_and(|entry| entry.hosts.iter().all(has_place));
        let at = self.queue.iter().position(|(id, _)| may_begin(id))?;
        let (id, work) = self.queue.remove(at)?;
        let entry = self.jobs.get_mut(&id)?;
        for host in &entry.hosts {
            *self.on_hosts.entry(*host).or_default() += 1;
        }
        entry.job.progress.state = JobState::Running;
        entry.job.started = Some(clock::time(clock::now()));
        self.running += 1;
        Some((id, entry.ticket.clone(), work))
    }

    /// Notes how a job ended. Nothing where it has ended already.
    pub fn end(&mut self, id: u64, outcome: Result<JobReport, Problem>) -> Option<Job> {
        let entry = self.jobs.get_mut(&id).filter(|entry| !entry.state().has_ended())?;
        let ended = match &outcome {
            Ok(_) => JobState::Done,
            Err(problem) if problem.code == Code::Cancelled => JobState::Cancelled,
            Err(_) => JobState::Failed,
        };
        if entry.state() == JobState::Running && !entry.is_interrupted {
            self.running -= 1;
            for host in &entry.hosts {
                self.on_hosts.entry(*host).and_modify(|count| *count -= 1);
            }
            self.on_hosts.retain(|_, count| *count > 0);
        }
        entry.is_interrupted = false;
        entry.job.progress = entry.ticket.shown(ended);
        entry.job.ended = Some(clock::time(clock::now()));
        match outcome {
            Ok(report) => entry.job.report = Some(report),
            Err(problem) => entry.job.problem = Some(problem),
        }
        let job = entry.job.clone();
        *self.ended.entry((job.kind, ended)).or_default() += 1;
        self.ended_count += 1;
        Some(job)
    }

    /// Forgets the oldest job that has ended, if more than `kept_max` have. Returns which.
    pub fn forget(&mut self, kept_max: usize) -> Option<u64> {
        if self.ended_count <= kept_max {
            return None;
        }
        let oldest = self.jobs.iter().find(|(_, entry)| entry.state().has_ended()).map(|(id, _)| *id)?;
        self.jobs.remove(&oldest);
        self.ended_count -= 1;
        Some(oldest)
    }

    /// A job as it is now.
    pub fn shown(&self, id: u64) -> Result<Job, Problem> {
        self.jobs.get(&id).map(Entry::shown).ok_or_else(|| missing(id))
    }

    /// All jobs as they are now, the newest first.
    pub fn list(&self) -> Vec<Job> {
        self.jobs.values().rev().map(Entry::shown).collect()
    }

    /// A job's ticket.
    pub fn ticket(&self, id: u64) -> Result<&Arc<Ticket>, Problem> {
        self.jobs.get(&id).map(|entry| &entry.ticket).ok_or_else(|| missing(id))
    }

    /// Takes a job's work away. To be dropped without the lock held: what the work owns may take its time to go.
    pub fn unqueue(&mut self, id: u64) -> Option<Work> {
        let at = self.queue.iter().position(|(queued, _)| *queued == id)?;
        self.queue.remove(at).map(|(_, work)| work)
    }

    /// Takes the first queued job's work away, to be dropped likewise.
    pub fn unqueue_first(&mut self) -> Option<(u64, Work)> {
        self.queue.pop_front()
    }

    /// Asks all that run to stop.
    pub fn cancel_all(&self) {
        self.jobs.values().filter(|entry| !entry.is_interrupted).for_each(|entry| entry.ticket.cancel());
    }

    /// How many wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running
    }
}

fn missing(id: u64) -> Problem {
    Problem::new(Code::NotFound, format!("there is no job {id}")).with_hint("jobs that ended long ago are forgotten")
}
