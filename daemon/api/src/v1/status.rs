//! The daemon's state.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::{PoolSpace, ScrubProgress};

/// Whether the daemon can do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All is well.
    Serving,
    /// A write failed: nothing more is written until the daemon is restarted.
    Poisoned,
    /// It is shutting down.
    Stopping,
}

/// The daemon's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The pool's id, in hexadecimal.
    pub pool_id: String,
    /// Where the pool is, on the daemon's host.
    pub pool: String,
    /// Whether all is well.
    pub state: State,
    /// When the daemon began to serve.
    pub started: Time,
    /// Whole seconds since then.
    pub uptime_seconds: u64,
    /// Where NFS listens.
    #[serde(default)]
    pub nfs: Option<String>,
    /// Where the API listens besides its socket.
    #[serde(default)]
    pub http: Option<String>,
    /// Datasets, without destroyed ones.
    pub datasets: u64,
    /// Snapshots, without destroyed ones.
    pub snapshots: u64,
    /// Datasets and snapshots that can be undeleted.
    pub destroyed: u64,
    /// Jobs that wait or run.
    pub jobs: u64,
    /// NFS connections.
    pub connections: u64,
    /// Space.
    pub space: PoolSpace,
    /// What is to be done in the background until all space is back that can be.
    #[serde(default)]
    pub backlog: Backlog,
    /// How far scrubbing is.
    #[serde(default)]
    pub scrub: ScrubProgress,
    /// What the pool has done since it was opened.
    pub counters: Counters,
}

/// What is to be done in the background until all space is back that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Backlog {
    /// Purged datasets and snapshots whose space is not free yet.
    pub reclaims: u64,
    /// Purged snapshots that stay, for several others share with them.
    pub hidden: u64,
    /// Changed counts that wait for their place: what was freed comes back then.
    pub changes: u64,
    /// Bytes that nothing refers to, in segments that are worth cleaning.
    pub sparse_bytes: u64,
}

/// What the pool has done since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// Commits.
    pub commits: u64,
    /// Flushes of the intent log.
    pub log_flushes: u64,
    /// Bytes written to the intent log.
    pub log_bytes: u64,
    /// Bytes written to segments.
    pub segment_bytes: u64,
    /// Plain bytes that writes brought.
    pub written_bytes: u64,
    /// Plain bytes that reads returned.
    pub read_bytes: u64,
    /// Plain bytes that deduplication kept from being stored.
    pub deduplicated_bytes: u64,
    /// Block cache hits.
    pub block_hits: u64,
    /// Block cache misses.
    pub block_misses: u64,
    /// Node cache hits.
    pub node_hits: u64,
    /// Node cache misses.
    pub node_misses: u64,
}
