//! Snapshots: what is listed of them, taking and cloning them.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::PropertyChange;

/// A snapshot, named where its name is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// Its id.
    pub id: u64,
    /// Its full name, unless it was destroyed since.
    #[serde(default)]
    pub name: Option<String>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// Its id, never reused.
    pub id: u64,
    /// Its full name: `dataset@snapshot`.
    pub name: String,
    /// The name of the dataset whose timeline it is on.
    pub dataset: String,
    /// When it was taken.
    pub created: Time,
    /// The number of the commit that made it.
    pub commit: u64,
    /// The hash of its whole content, in hexadecimal: the same for ever.
    pub root_hash: String,
    /// The snapshot before it.
    #[serde(default)]
    pub parent: Option<Origin>,
    /// Logical bytes that it holds.
    pub referenced: u64,
    /// Stored bytes that destroying it would free; only where one snapshot is asked for, and counting takes no
    /// longer than a second or so.
    #[serde(default)]
    pub exclusive: Option<u64>,
    /// Tags that keep it from being destroyed.
    #[serde(default)]
    pub holds: Vec<String>,
    /// Whether cow took it before a rewind, rather than a user.
    #[serde(default)]
    pub automatic: bool,
    /// When it was destroyed, while that can be undone.
    #[serde(default)]
    pub destroyed: Option<Time>,
}

/// Several snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snapshots {
    /// The snapshots.
    pub snapshots: Vec<Snapshot>,
}

/// Asks for snapshots of several datasets at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TakeSnapshots {
    /// One for each.
    pub snapshots: Vec<NewSnapshot>,
    /// Whether the datasets below them are snapshotted too, by the same name.
    #[serde(default)]
    pub recursive: bool,
}

/// A snapshot to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    /// The dataset.
    pub dataset: String,
    /// The part behind `@`; by default the time, as in `2026-03-01T09:30:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Asks for a writable dataset with a snapshot's content.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CloneSnapshot {
    /// The new dataset's name.
    pub name: String,
    /// What it does otherwise than the snapshot's dataset.
    #[serde(default)]
    pub properties: PropertyChange,
}
