//! Long work: what is asked for once and looked at while it runs.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::{Problem, SourceReport, TransferReport, VerifyReport};

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
    /// Looks for installations and datasets on an environment.
    Discover,
    /// Links a dSource and syncs it for the first time.
    Link,
    /// Syncs a dSource.
    Sync,
    /// Provisions a VDB, also an empty one.
    Provision,
    /// Gives a VDB the content of another snapshot of what it was provisioned from.
    Refresh,
    /// Gives a VDB the content of a snapshot of its own.
    Rewind,
    /// Takes a snapshot of a VDB.
    Snapshot,
    /// Starts a VDB.
    Start,
    /// Stops a VDB.
    Stop,
    /// Mounts a source on its hosts again, and starts it.
    Enable,
    /// Stops a source, and unmounts it from its hosts.
    Disable,
    /// Deletes a VDB, or unlinks a dSource.
    Delete,
    /// Copies a snapshot to a host as plain files (virtual to physical).
    Physical,
    /// Changes an installed plugin, or what it runs in.
    Plugin,
    /// Destroys the snapshots that a policy no longer keeps.
    Retain,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl JobKind {
    /// Its text, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
            Self::Verify => "verify",
            Self::Discover => "discover",
            Self::Link => "link",
            Self::Sync => "sync",
            Self::Provision => "provision",
            Self::Refresh => "refresh",
            Self::Rewind => "rewind",
            Self::Snapshot => "snapshot",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::Physical => "physical",
            Self::Plugin => "plugin",
            Self::Retain => "retain",
            Self::Unknown => "unknown",
        }
    }
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
    /// Its text, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

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
    /// What was done with a dSource or VDB.
    Source(SourceReport),
    /// Nothing that there is more to say of.
    Plain,
}

/// What happened in a job, as far as it has been told.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobLog {
    /// The oldest first; in the middle some may be left out of a very long one.
    pub lines: Vec<JobLine>,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobLine {
    /// When.
    pub at: Time,
    /// How much it matters, and who says it.
    pub level: JobLevel,
    /// What.
    pub text: String,
}

/// How much a line of a job's log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobLevel {
    /// For those who look for a mistake.
    Debug,
    /// Told by a plugin or hook.
    Info,
    /// A step of the job.
    Step,
    /// Something went wrong.
    Error,
}

/// All jobs that are remembered.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Jobs {
    /// The newest first.
    pub jobs: Vec<Job>,
}
