//! Actions: who asked for what, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::{Code, JobState};

/// A request that was to change something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Action {
    /// Its number; grows.
    pub id: u64,
    /// When it came.
    pub at: Time,
    /// Who sent it: `uid 0` over the socket, `token from 10.0.0.7` over TCP, `policy nightly` by schedule.
    pub who: String,
    /// What it was to do.
    pub what: String,
    /// Its method and path, as `POST /v1/sources/sales/orders`.
    pub request: String,
    /// Names that it gave, and what it asked for in its query. Nothing that could be a secret.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    /// Whether it was done; nothing where cowd ended before.
    #[serde(default)]
    pub is_done: Option<bool>,
    /// Why not.
    #[serde(default)]
    pub code: Option<Code>,
    /// The same in one line.
    #[serde(default)]
    pub problem: Option<String>,
    /// When it was answered.
    #[serde(default)]
    pub ended: Option<Time>,
    /// The job that it began.
    #[serde(default)]
    pub job: Option<u64>,
    /// How far that job is, where it is still known.
    #[serde(default)]
    pub job_state: Option<JobState>,
}

/// Actions.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Actions {
    /// The newest first.
    pub actions: Vec<Action>,
}
