//! A job's journal: what must be done to take it back, and then, once it is done, what is left to do.
//!
//! A recipe promises to undo an act before it does it. Up to the commit, ending early means to do all that was
//! promised, the last first. The commit changes the state, drops the promises and writes down what is left to do
//! afterwards, all at once.
//!
//! Invariant: whatever moment cowd is killed at, what the journal holds leads to the world as before the job, or as
//! after it.

use std::sync::atomic::{AtomicU64, Ordering};

use cow_api::v1::{JobLevel, Problem};
use serde::{Deserialize, Serialize};

use crate::jobs::Ticket;
use crate::service::Answer;
use crate::state::{Edit, Record, Row, State, View};
use crate::virtualization::act::Act;

/// When an act is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Due {
    /// When the job ends before its commit.
    Undo,
    /// After its commit.
    Afterwards,
}

/// An act that a job owes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owed {
    job: u64,
    ordinal: u64,
    due: Due,
    act: Act,
}

impl Record for Owed {
    const TABLE: &'static str = "undo";
    const NOUN: &'static str = "owed act";

    fn key(&self) -> String {
        self.ordinal.to_string()
    }

    fn owner(&self) -> u64 {
        self.job
    }
}

/// How a journal was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was owed.
    Clear,
    /// The job's steps were undone.
    Undone,
    /// The job was done, and what was left has been done too.
    Finished,
}

/// What was promised.
pub struct Promise(u64);

/// A job's journal.
pub struct Journal<'j> {
    state: &'j State,
    job: u64,
    next: AtomicU64,
}

impl<'j> Journal<'j> {
    /// The journal of a job.
    pub fn new(state: &'j State, job: u64) -> Self {
        Self { state, job, next: AtomicU64::new(1) }
    }

    /// Promises an act, should the job not come to its commit. To be called before what it undoes is done.
    pub fn promise(&self, act: Act) -> Answer<Promise> {
        self.state.write(|edit| self.add(edit, Due::Undo, act))
    }

    /// Promises another act in the place of one that was promised.
    pub fn replace(&self, promise: Promise, act: Act) -> Answer<()> {
        self.state.write(|edit| {
            let row = edit.get::<Owed>(promise.0)?;
            edit.update(row.id, &Owed { act, ..row.record })
        })
    }

    /// Takes a promise back whose act is no more needed.
    pub fn withdraw(&self, promise: Promise) -> Answer<()> {
        self.state.write(|edit| edit.remove::<Owed>(promise.0))
    }

    /// Makes the job's outcome the truth. `afterwards` is what is left to do.
    pub fn commit<T>(&self, change: impl FnOnce(&Edit<'_>) -> Answer<T>, afterwards: Vec<Act>) -> Answer<T> {
        self.state.write(|edit| {
            let answer = change(edit)?;
            edit.remove_owned::<Owed>(self.job)?;
            afterwards.into_iter().try_for_each(|act| self.add(edit, Due::Afterwards, act).map(drop))?;
            // Stays until the job is known to have ended: who finds it after a crash knows that the job was done.
            self.add(edit, Due::Afterwards, Act::Nothing)?;
            Ok(answer)
        })
    }

    fn add(&self, edit: &Edit<'_>, due: Due, act: Act) -> Answer<Promise> {
        let ordinal = self.next.fetch_add(1, Ordering::Relaxed);
        edit.insert(&Owed { job: self.job, ordinal, due, act }).map(Promise)
    }

    /// Does all that the job owes. Stops at the first act that fails, as those behind it rely on it, and keeps it.
    pub fn settle(&self, ticket: &Ticket, mut perform: impl FnMut(&Act) -> Answer<()>) -> Result<Settled, Problem> {
        let mut settled = Settled::Clear;
        while let Some(row) = self.next_owed()? {
            let Owed { due, act, .. } = &row.record;
            if *act == Act::Nothing && *due == Due::Afterwards {
                return Ok(Settled::Finished);
            }
            let (word, outcome) = match due {
                Due::Undo => ("undo", Settled::Undone),
                Due::Afterwards => ("finish", Settled::Finished),
            };
            ticket.step(format!("{word}: {}", act.describe()));
            if let Err(problem) = perform(act) {
                ticket.note(JobLevel::Error, format!("cannot {}: {}", act.describe(), problem.detail));
                return Err(problem);
            }
            self.state.write(|edit| edit.remove::<Owed>(row.id))?;
            settled = outcome;
        }
        Ok(settled)
    }

    /// The last of what is to be undone, or the first of what is to be done.
    fn next_owed(&self) -> Answer<Option<Row<Owed>>> {
        let mut owed = self.state.read(|view| view.owned::<Owed>(self.job))?;
        owed.sort_by_key(|row| row.record.ordinal);
        let is_undo = |row: &&Row<Owed>| row.record.due == Due::Undo;
        Ok(owed.iter().rfind(is_undo).or_else(|| owed.first()).cloned())
    }
}

/// The jobs whose journals hold anything.
pub fn debtors(state: &State) -> Answer<Vec<u64>> {
    let mut jobs: Vec<u64> = state.read(|view| view.all::<Owed>())?.into_iter().map(|row| row.record.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    Ok(jobs)
}

/// What jobs are still to destroy, by name.
pub fn doomed(state: &State) -> Answer<Vec<String>> {
    let owed = state.read(|view| view.all::<Owed>())?.into_iter();
    let name = |row: Row<Owed>| match row.record.act {
        Act::Destroy { name } => Some(name),
        _ => None,
    };
    Ok(owed.filter_map(name).collect())
}

/// The sources that jobs may still have to shut down, by what was known of them when that was promised.
pub fn to_shut_down(view: &View<'_>) -> Answer<Vec<u64>> {
    let source = |row: Row<Owed>| match row.record.act {
        Act::ShutDown { source, .. } => Some(source),
        _ => None,
    };
    Ok(view.all::<Owed>()?.into_iter().filter_map(source).collect())
}

/// Drops the journal of a job that is known to have ended, if all that is in it is that it was done.
pub fn close(state: &State, job: u64) -> Answer<()> {
    state.write(|edit| {
        let owed = edit.owned::<Owed>(job)?;
        let is_done = owed.iter().all(|row| row.record.act == Act::Nothing);
        if is_done { edit.remove_owned::<Owed>(job) } else { Ok(()) }
    })
}
