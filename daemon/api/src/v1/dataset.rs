//! Datasets: what is listed of them, and what can be asked.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::{Origin, Profile, Properties, PropertyChange, Snapshot};

/// A dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dataset {
    /// Its id, never reused.
    pub id: u64,
    /// Its name: parts joined by `/`.
    pub name: String,
    /// How it stores and serves.
    pub properties: Properties,
    /// The snapshot that it was cloned from or rewound to, if its content goes back to one.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// When it was created.
    pub created: Time,
    /// Logical bytes that it has allocated.
    pub referenced: u64,
    /// Stored bytes that destroying it with its snapshots would free; only where one dataset is asked for, and
    /// counting takes no longer than a second or so.
    #[serde(default)]
    pub exclusive: Option<u64>,
    /// The path that NFS clients mount, while it is shared.
    #[serde(default)]
    pub share: Option<String>,
    /// When it was destroyed, while that can be undone.
    #[serde(default)]
    pub destroyed: Option<Time>,
}

/// Datasets and snapshots at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listing {
    /// By name.
    pub datasets: Vec<Dataset>,
    /// By dataset's name, then creation.
    pub snapshots: Vec<Snapshot>,
}

/// Asks for a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateDataset {
    /// Its name.
    pub name: String,
    /// Whether missing parents are made too.
    #[serde(default)]
    pub parents: bool,
    /// Sets block and extent size; properties that are given count more.
    #[serde(default)]
    pub profile: Profile,
    /// How it stores and serves, as far as the defaults do not suit.
    #[serde(default)]
    pub properties: PropertyChange,
    /// Its root directory, as far as user 0, group 0 and mode 0755 do not suit.
    #[serde(default)]
    pub root: RootDirectory,
}

/// A new dataset's root directory: who may make the first files in it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RootDirectory {
    /// Its owner's user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its group's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Its permission bits, as octal text: `0770`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Asks for another name: of a dataset the whole one, of a snapshot the part behind `@`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The new name.
    pub to: String,
}

/// Asks that a dataset have a snapshot's content again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The snapshot by its full name: one of the dataset's own, or of its origin's timeline.
    pub to: String,
}

/// A rewind that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rewound {
    /// The dataset as it is now.
    pub dataset: Dataset,
    /// The automatic snapshot of what it had before: rewinding to it undoes the rewind.
    pub saved: Snapshot,
}
