//! dSources and VDBs: what is linked and what is provisioned.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;
use crate::v1::NewHook;

/// How a source gets its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A dSource: its plugin puts data on a share that a staging host has mounted.
    Staged,
    /// A dSource: the engine fetches the data.
    Direct,
    /// A VDB.
    Virtual,
}

impl SourceKind {
    /// What users call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Direct => "direct",
            Self::Virtual => "vdb",
        }
    }
}

/// Asks for a dSource.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LinkSource {
    /// Its name: that of a part of a dataset's name.
    pub name: String,
    /// The plugin, by name or UUID.
    pub plugin: String,
    /// The environment that the data comes from.
    pub environment: String,
    /// The user there; the environment's first by default.
    #[serde(default)]
    pub user: Option<String>,
    /// The environment that mounts the dSource (STAGED); the same by default.
    #[serde(default)]
    pub staging_environment: Option<String>,
    /// The user there.
    #[serde(default)]
    pub staging_user: Option<String>,
    /// The repository by name; may be left out where the plugin has found one only.
    #[serde(default)]
    pub repository: Option<String>,
    /// The source config by name, of those that were discovered.
    #[serde(default)]
    pub config: Option<String>,
    /// Or the source config itself, where the plugin takes it by hand.
    #[serde(default)]
    pub config_parameters: Option<Value>,
    /// The plugin's parameters, as its schema of linked sources has them.
    #[serde(default)]
    pub parameters: Value,
    /// Parameters of the first sync.
    #[serde(default)]
    pub snapshot_parameters: Option<Value>,
    /// Whether later syncs take them too, when nothing else is said.
    #[serde(default)]
    pub store_snapshot_parameters: bool,
    /// Hooks that it has from the first sync on.
    #[serde(default)]
    pub hooks: Vec<NewHook>,
}

/// Asks for a VDB.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// Its name: that of a part of a dataset's name.
    pub name: String,
    /// The snapshot: by its full name, as `SOURCE@TIME`, or `SOURCE` for the newest. Nothing makes an empty VDB.
    #[serde(default)]
    pub from: Option<String>,
    /// The plugin of an empty VDB.
    #[serde(default)]
    pub plugin: Option<String>,
    /// The environment that mounts it.
    pub environment: String,
    /// The user there; the environment's first by default.
    #[serde(default)]
    pub user: Option<String>,
    /// The repository by name; may be left out where the plugin has found one only.
    #[serde(default)]
    pub repository: Option<String>,
    /// The plugin's parameters, as its schema of virtual sources has them.
    #[serde(default)]
    pub parameters: Value,
    /// Hooks that it has from the beginning.
    #[serde(default)]
    pub hooks: Vec<NewHook>,
}

/// What to do with a dSource or VDB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceOrder {
    /// Syncs a dSource.
    Sync {
        /// The plugin's snapshot parameters; those that are stored by default.
        #[serde(default)]
        snapshot_parameters: Option<Value>,
    },
    /// Takes a snapshot of a VDB.
    Snapshot,
    /// Gives a VDB the content of another snapshot of what it was provisioned from.
    Refresh {
        /// The snapshot; the newest by default.
        #[serde(default)]
        to: Option<String>,
    },
    /// Gives a VDB the content of a snapshot of its own.
    Rewind {
        /// The snapshot; the newest by default.
        #[serde(default)]
        to: Option<String>,
    },
    /// Starts a VDB.
    Start,
    /// Stops a VDB.
    Stop,
    /// Mounts a source and puts it in use.
    Enable,
    /// Shuts a source down and unmounts it.
    Disable,
    /// Deletes a VDB, or unlinks a dSource.
    Delete {
        /// Whether to go on where the plugin or the host fails.
        #[serde(default)]
        force: bool,
    },
    /// Copies a snapshot to a host as plain files.
    Physical {
        /// The snapshot; the newest by default.
        #[serde(default)]
        from: Option<String>,
        /// The environment.
        environment: String,
        /// The user there.
        #[serde(default)]
        user: Option<String>,
        /// The directory there.
        directory: String,
        /// The plugin's parameters, as its schema of virtual to physical has them.
        #[serde(default)]
        parameters: Value,
    },
}

/// A dSource or VDB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How it gets its data.
    pub kind: SourceKind,
    /// The plugin's name.
    pub plugin: String,
    /// The environment where it is mounted, or that it comes from (DIRECT).
    pub environment: String,
    /// The user there.
    pub user: String,
    /// The repository's name.
    pub repository: String,
    /// What its plugin calls the data there, as where a VDB can be reached.
    #[serde(default)]
    pub config: Option<String>,
    /// The dataset of its current timeflow.
    #[serde(default)]
    pub dataset: Option<String>,
    /// The snapshot that its current timeflow began from.
    #[serde(default)]
    pub from: Option<String>,
    /// Whether it is in use.
    pub is_enabled: bool,
    /// Whether it is in use, but its plugin was told to stop it.
    #[serde(default)]
    pub is_stopped: bool,
    /// Where it is mounted, as `environment:path`.
    pub mounts: Vec<String>,
    /// How many snapshots it has, on all timeflows.
    pub snapshots: u64,
    /// When the newest was taken.
    #[serde(default)]
    pub newest: Option<Time>,
}

/// All dSources and VDBs.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sources {
    /// In the order in which they were made.
    pub sources: Vec<Source>,
}

/// What a plugin says of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Whether it is enabled.
    pub is_enabled: bool,
    /// Whether it runs, where the plugin can tell.
    #[serde(default)]
    pub is_active: Option<bool>,
    /// Bytes that it has, where the plugin can tell.
    #[serde(default)]
    pub size: Option<u64>,
}

/// The timeflows of a source.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timeline {
    /// The source.
    pub source: String,
    /// The oldest first.
    pub timeflows: Vec<Timeflow>,
}

/// A line of snapshots. A refresh or rewind begins another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timeflow {
    /// 1 for the first.
    pub number: u64,
    /// The dataset.
    pub dataset: String,
    /// Why it began: `link`, `provision`, `empty`, `refresh` or `rewind`.
    pub why: String,
    /// The snapshot that it began from.
    #[serde(default)]
    pub from: Option<String>,
    /// When.
    pub created: Time,
    /// Whether the source is on it now.
    pub is_current: bool,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<TimeflowSnapshot>,
}

/// A snapshot on a timeflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TimeflowSnapshot {
    /// Its full name.
    pub name: String,
    /// When it was taken.
    pub created: Time,
    /// Timeflows that began from it, as `source (number)`.
    pub origin_of: Vec<String>,
    /// Bookmarks that name it.
    #[serde(default)]
    pub bookmarks: Vec<String>,
    /// Other tags that keep it from being destroyed.
    #[serde(default)]
    pub holds: Vec<String>,
}

/// What a job did with a dSource or VDB.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// The snapshot that was taken, by its full name.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// By how many bytes what is stored in the pool grew meanwhile, if a snapshot was taken; what others wrote counts too.
    #[serde(default)]
    pub stored: Option<u64>,
}

/// A lasting bad state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fault {
    /// What is in it.
    pub subject: String,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// Since when.
    pub since: Time,
}

/// All faults.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Faults {
    /// The oldest first.
    pub faults: Vec<Fault>,
}

/// What plugins have found on an environment.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Discovered {
    /// In the order in which they were found first.
    pub repositories: Vec<DiscoveredRepository>,
}

/// An installation that a plugin has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiscoveredRepository {
    /// The plugin's name.
    pub plugin: String,
    /// Its name.
    pub name: String,
    /// Whether the last discovery did not find it any more.
    pub is_lost: bool,
    /// The names of the datasets that were found in it.
    pub configs: Vec<String>,
}
