//! Jobs as cowd's state remembers them: over restarts, also over those that nobody wanted.

use cow_api::v1::{Job, JobLine, Problem};
use serde::{Deserialize, Serialize};

use crate::state::{Record, State};

/// A job with its log.
#[derive(Serialize, Deserialize)]
pub struct Remembered {
    /// The job.
    pub job: Job,
    /// Its log.
    #[serde(default)]
    pub lines: Vec<JobLine>,
}

impl Record for Remembered {
    const TABLE: &'static str = "job";
    const NOUN: &'static str = "job";

    fn key(&self) -> String {
        self.job.id.to_string()
    }
}

/// All jobs that are remembered, by number.
pub fn all(state: &State) -> Result<Vec<Remembered>, Problem> {
    let mut jobs: Vec<Remembered> =
        state.read(|view| view.all::<Remembered>())?.into_iter().map(|row| row.record).collect();
    jobs.sort_by_key(|remembered| remembered.job.id);
    Ok(jobs)
}

/// Remembers a job as it is now.
pub fn save(state: &State, remembered: &Remembered) -> Result<(), Problem> {
    state.write(|edit| match edit.find::<Remembered>(0, &remembered.key())? {
        Some(row) => edit.update(row.id, remembered),
        None => edit.insert(remembered).map(drop),
    })
}

/// Forgets a job.
pub fn forget(state: &State, id: u64) -> Result<(), Problem> {
    state.write(|edit| match edit.find::<Remembered>(0, &id.to_string())? {
        Some(row) => edit.remove::<Remembered>(row.id),
        None => Ok(()),
    })
}
