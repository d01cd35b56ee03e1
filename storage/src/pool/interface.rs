//! What a pool can be asked and told, as plain data.

use crate::catalog::{DatasetInfo, SnapshotInfo};
use crate::format::PoolId;
use crate::scrub::Damage;

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
    /// Stored bytes that something refers to, nodes and the account's pages included. Exact as of the last commit, but what
    /// died of an extent that lives in part counts until that is cleaned, and what was freed until two commits later.
    pub live: u64,
    /// Bytes that the pool's segments take on the host, at most: files are preallocated. Without what was given back of them.
    pub stored: u64,
    /// Bytes the host still has for it, without the reserve.
    pub free: u64,
    /// Logical bytes that live heads and live snapshots refer to: the sum over all of them, as if nothing was shared. Exact as of the
    /// last commit.
    pub logical: u64,
    /// Stored bytes that purging all that can be undeleted would free. It was exact at a commit since something was last destroyed,
    /// taken back or purged; what heads have overwritten since may add to it. The larger what waits, the rarer it is counted anew.
    pub awaiting: u64,
}

/// What background steps have yet to do until all space is back that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Purged datasets and snapshots that are to be reclaimed, or have grown enough to be sifted.
    pub reclaims: u64,
    /// Purged snapshots that stay, for several others share with them.
    pub hidden: u64,
    /// Counts that were changed, and not yet where they belong: space that was freed comes back then.
    pub changes: u64,
    /// Bytes that nothing refers to in segments that are worth cleaning.
    pub sparse: u64,
}

/// What a dataset takes, in bytes, as of the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DatasetSpace {
    /// Logical bytes that its head has allocated.
    pub referenced: u64,
    /// Logical bytes that its head and live snapshots have allocated, as if nothing was shared.
    pub logical: u64,
    /// Stored bytes that destroying it with its snapshots would free; see [`crate::pool::Pool::would_free`].
    pub exclusive: u64,
    /// Plain bytes of the head's blocks.
    pub plain: u64,
    /// Stored bytes of the head's blocks, each with its part of its extent, as if none was deduplicated. `plain` by this is how well
    /// they are compressed.
    pub stored: u64,
    /// How much of `stored` deduplication saves: a block that is referred to `n` times costs each an nth part.
    pub deduplicated: u64,
}

/// What a background step did.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// Units of work done in this step.
    pub done: u64,
    /// Whether nothing is left to do.
    pub idle: bool,
    /// Damage that was come upon, and passed by: each is told once, or once for each opening of the pool.
    pub damage: Vec<Damage>,
}

/// Counters since the pool was opened; they only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commits.
    pub commits: u64,
    /// Those of them that took along all datasets; others have what a verb or a sync needed.
    pub whole_commits: u64,
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
