//! What is known of datasets and snapshots, as the pool's users see it.

use std::collections::BTreeMap;

use crate::format::{Birth, Checksum, DatasetId, SnapshotId, Timestamp};
use crate::tree::Root;

/// How a dataset stores and serves. Fixed at creation: `block_size`. The rest holds for later writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Bytes in a block: a power of two, 4 KiB to 64 KiB.
    pub block_size: u32,
    /// Most bytes of plain data in one extent: a multiple of the block size, at most 128 KiB.
    pub extent_size: u32,
    /// How extents are compressed.
    pub compression: Compression,
    /// Whether fsync waits.
    pub sync: SyncMode,
    /// Whether streams are deduplicated.
    pub dedup: bool,
    /// Most logical bytes that the head may have allocated.
    pub quota: Option<u64>,
    /// Whether the head takes no writes.
    pub readonly: bool,
    /// What users attach: keys contain a colon, as in `team:owner`.
    pub user: BTreeMap<String, String>,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            block_size: 16 << 10,
            extent_size: 64 << 10,
            compression: Compression::Zstd(1),
            sync: SyncMode::Standard,
            dedup: true,
            quota: None,
            readonly: false,
            user: BTreeMap::new(),
        }
    }
}

/// How extents are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Stored as they are.
    Off,
    /// zstd at this level, -7 to 19.
    Zstd(i8),
}

/// Whether fsync waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// fsync and COMMIT return when the data is durable.
    Standard,
    /// They return at once; a crash takes the dataset back to a commit.
    Disabled,
}

/// A change of properties; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PropertyChange {
    /// See [`Properties::extent_size`].
    pub extent_size: Option<u32>,
    /// See [`Properties::compression`].
    pub compression: Option<Compression>,
    /// See [`Properties::sync`].
    pub sync: Option<SyncMode>,
    /// See [`Properties::dedup`].
    pub dedup: Option<bool>,
    /// See [`Properties::quota`]; `Some(None)` takes it away.
    pub quota: Option<Option<u64>>,
    /// See [`Properties::readonly`].
    pub readonly: Option<bool>,
    /// User properties to set, or with `None` to remove.
    pub user: BTreeMap<String, Option<String>>,
}

/// A dataset, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its id, never reused.
    pub id: DatasetId,
    /// Its name: parts joined by `/`.
    pub name: String,
    /// How it stores and serves.
    pub properties: Properties,
    /// The snapshot that its head goes back to last, if any: of a clone that has none, its origin.
    pub origin: Option<SnapshotId>,
    /// When it was created.
    pub created: Timestamp,
    /// Logical bytes that its head has allocated, as of the last commit.
    pub referenced: u64,
    /// Set while it is destroyed but can be undeleted: when that happened.
    pub destroyed: Option<Timestamp>,
}

/// A snapshot, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its id, never reused.
    pub id: SnapshotId,
    /// The dataset whose timeline it is on.
    pub dataset: DatasetId,
    /// Its name, without the dataset's.
    pub name: String,
    /// When it was taken.
    pub created: Timestamp,
    /// The commit that made it.
    pub birth: Birth,
    /// The hash of its whole content: the same for ever.
    pub root_hash: Checksum,
    /// The snapshot before it on its branch of the timeline, or the origin of its dataset.
    pub parent: Option<SnapshotId>,
    /// Logical bytes that it holds.
    pub referenced: u64,
    /// Names of holds that keep it from being destroyed.
    pub holds: Vec<String>,
    /// Whether the pool made it (before a rewind), rather than a user.
    pub automatic: bool,
    /// Set while it is destroyed but can be undeleted: when that happened.
    pub destroyed: Option<Timestamp>,
}

/// What has a root of its own: a dataset's head, or a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The head of a dataset.
    Head(DatasetId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

/// What a head or a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct State {
    /// Its tree.
    pub root: Root,
    /// Logical bytes allocated.
    pub referenced: u64,
    /// Files, directories and all other inodes.
    pub inodes: u64,
    /// No inode was ever given this number, or a larger one.
    pub next_inode: u64,
}
