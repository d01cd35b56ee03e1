//! What a pool can be asked and told, as plain data.

use crate::catalog::{DatasetInfo, SnapshotInfo};
use crate::format::PoolId;

/// Budgets, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Dirty data; writers wait when it is full.
    pub dirty: u64,
    /// Cached tree nodes.
    pub nodes: u64,
    /// Cached plain blocks.
    pub blocks: u64,
    /// Cached pages of slot tables.
    pub slots: u64,
    /// The deduplication index.
    pub dedup: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { dirty: 256 << 20, nodes: 192 << 20, blocks: 256 << 20, slots: 128 << 20, dedup: 128 << 20 }
    }
}

/// How to make a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPool {
    /// Its id, drawn at random by the caller.
    pub id: PoolId,
    /// A secret, drawn at random: keys directory hashes and file handles.
    pub secret: [u8; 32],
    /// Bytes in a segment file; a multiple of 1 MiB, at most 64 MiB.
    pub segment_size: u32,
    /// Bytes in the intent log: at least 256 KiB, in pages of 4 KiB.
    pub intent_size: u64,
}

/// All datasets and snapshots at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Listing {
    /// By name.
    pub datasets: Vec<DatasetInfo>,
    /// By dataset's name, then creation.
    pub snapshots: Vec<SnapshotInfo>,
}

/// What the pool's files hold, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PoolSpace {
    /// Stored bytes that something refers to.
    pub live: u64,
    /// Bytes that the pool's files take on the host.
    pub stored: u64,
    /// Bytes the host still has for it, without the reserve.
    pub free: u64,
    /// Logical bytes that all heads and snapshots refer to, each counted once.
    pub logical: u64,
    /// Stored bytes that wait to be given back (destroyed, not yet purged).
    pub awaiting: u64,
}

/// What a background step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// Units of work done in this step.
    pub done: u64,
    /// Whether nothing is left to do.
    pub idle: bool,
}

/// Counters since the pool was opened; they only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commits.
    pub commits: u64,
    /// Flushes of the intent log.
    pub log_flushes: u64,
    /// Bytes written to the intent log.
    pub log_bytes: u64,
    /// Bytes of extents and nodes written to segments.
    pub segment_bytes: u64,
    /// Plain bytes that arrived by writes.
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
