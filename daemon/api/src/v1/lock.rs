//! Locks of bytes of files.

use serde::{Deserialize, Serialize};

/// How bytes are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    /// Together with others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// A lock that a client holds or waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lock {
    /// The dataset.
    pub dataset: String,
    /// The id of the snapshot of it, unless it is the head.
    #[serde(default)]
    pub snapshot: Option<u64>,
    /// The file's inode number.
    pub inode: u64,
    /// The client's address; `local` is a mount on the daemon's host.
    pub client: String,
    /// What the client calls itself; of a mount, its path.
    pub name: String,
    /// The process, as the client counts them.
    pub process: i32,
    /// How.
    pub kind: LockKind,
    /// The first byte.
    pub offset: u64,
    /// How many bytes; without it, all from there on.
    #[serde(default)]
    pub length: Option<u64>,
    /// Whether it is only waited for.
    pub waiting: bool,
}

/// All locks, or those of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Locks {
    /// By file; those that are waited for after those that are held.
    pub locks: Vec<Lock>,
    /// How many more there are than are listed.
    pub more: u64,
    /// Clients that are waited for after a restart: until they have taken their locks back, or had time to, nobody else gets any.
    pub awaited: Vec<String>,
}

/// Locks that were taken from clients.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleasedLocks {
    /// The clients.
    pub clients: Vec<String>,
    /// How many locks they held or waited for.
    pub released: u64,
}
