//! Where the space went.

use serde::{Deserialize, Serialize};

/// Space of the pool and of its datasets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Space {
    /// The pool.
    pub pool: PoolSpace,
    /// Every dataset, or those asked for, by name.
    pub datasets: Vec<DatasetSpace>,
}

/// What the pool holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolSpace {
    /// Logical bytes that heads and snapshots refer to, each counted once.
    pub logical: u64,
    /// Stored bytes that something refers to.
    pub live: u64,
    /// Bytes that the pool's files take on the host.
    pub stored: u64,
    /// Bytes that the host still has for it.
    pub free: u64,
    /// Stored bytes of what was destroyed and can still be undeleted.
    pub awaiting: u64,
    /// Logical bytes for each live one: what compression and deduplication give together. 0 when nothing is stored.
    pub ratio: f64,
}

/// What a dataset takes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatasetSpace {
    /// Its name.
    pub name: String,
    /// Logical bytes that its head has allocated.
    pub referenced: u64,
    /// Logical bytes that its head and its snapshots refer to, as if nothing was shared.
    pub logical: u64,
    /// Stored bytes that destroying it with its snapshots would free.
    pub exclusive: u64,
    /// Plain bytes of its head's blocks; this and the next two only where datasets are asked for by name.
    #[serde(default)]
    pub plain: Option<u64>,
    /// What these take, compressed, as if none was deduplicated.
    #[serde(default)]
    pub stored: Option<u64>,
    /// How much of that deduplication saves.
    #[serde(default)]
    pub deduplicated: Option<u64>,
    /// Its snapshots, without destroyed ones.
    pub snapshots: u64,
    /// Most logical bytes that it may have allocated.
    #[serde(default)]
    pub quota: Option<u64>,
}
