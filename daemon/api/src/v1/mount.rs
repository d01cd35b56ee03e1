//! Mounts on the daemon's host.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Whether a mount serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MountState {
    /// It serves.
    Mounted,
    /// It was ordered and could not be made again when the daemon started; each start tries again.
    Failed,
}

/// A dataset or snapshot mounted on the daemon's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mount {
    /// Where it is mounted.
    pub path: String,
    /// What is: a dataset, or a snapshot by its full name.
    pub name: String,
    /// How.
    #[serde(flatten)]
    pub options: MountOptions,
    /// Whether it serves.
    pub state: MountState,
    /// Why not.
    #[serde(default)]
    pub failure: Option<String>,
    /// Since when, if it serves.
    #[serde(default)]
    pub since: Option<Time>,
    /// Files and directories that programs have open.
    pub open_files: u64,
}

/// How something is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MountOptions {
    /// Whether nothing can be changed through it; snapshots never can.
    #[serde(default)]
    pub read_only: bool,
    /// Whether users other than the daemon's may use it.
    #[serde(default)]
    pub allow_other: bool,
    /// Whether root of this host is nobody in it.
    #[serde(default)]
    pub root_squash: bool,
}

/// All mounts on the daemon's host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mounts {
    /// By path.
    pub mounts: Vec<Mount>,
}

/// Asks for a mount. It is made again whenever the daemon starts, until it is unmounted.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewMount {
    /// A dataset, or a snapshot by its full name.
    pub name: String,
    /// An empty directory of the daemon's host, by its absolute path.
    pub path: String,
    /// Whether nothing can be changed through it.
    #[serde(default)]
    pub read_only: bool,
    /// Whether users other than the daemon's may use it.
    #[serde(default)]
    pub allow_other: bool,
    /// Whether root of this host is nobody in it.
    #[serde(default)]
    pub root_squash: bool,
}

impl NewMount {
    /// How it is to be mounted.
    pub fn options(&self) -> MountOptions {
        let &Self { read_only, allow_other, root_squash, .. } = self;
        MountOptions { read_only, allow_other, root_squash }
    }
}
