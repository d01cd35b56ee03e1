//! Long work: what is asked for once and looked at while it runs.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::{Problem, TransferReport, VerifyReport};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Reads a directory of the host into a dataset.
    Import,
    /// Writes a dataset or snapshot out as plain files.
    Export,
    /// Reads and checks.
    Verify,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for others to end.
    Queued,
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// It failed: `problem` says why.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Job {
    /// Its number; grows.
    pub id: u64,
    /// What it does.
    pub kind: JobKind,
    /// What it does that with, in one line.
    pub subject: String,
    /// How far it is.
    pub progress: Progress,
    /// When it was asked for.
    pub created: Time,
    /// When it began to run.
    #[serde(default)]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Time>,
    /// Why it failed.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// What it did, once it is done.
    #[serde(default)]
    pub report: Option<JobReport>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// The state.
    pub state: JobState,
    /// 0 to 100, where the whole is known.
    #[serde(default)]
    pub percent: Option<f64>,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, where that is known.
    #[serde(default)]
    pub bytes_total: Option<u64>,
    /// Bytes a second, lately.
    pub rate: f64,
    /// Seconds that the rest will take at that rate, where that is known.
    #[serde(default)]
    pub eta_seconds: Option<u64>,
}

/// What a job did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobReport {
    /// An import.
    Import(TransferReport),
    /// An export.
    Export(TransferReport),
    /// A verification.
    Verify(VerifyReport),
}

/// All jobs that are remembered.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Jobs {
    /// The newest first.
    pub jobs: Vec<Job>,
}
