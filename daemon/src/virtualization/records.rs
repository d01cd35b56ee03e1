//! What is remembered of dSources and VDBs: the source, its timeflows, their snapshots.
//!
//! Invariant: whatever a plugin keeps about a source may hold secrets, so it is stored sealed, all of it.

use cow_api::time::Time;
pub use cow_api::v1::HookPoint;
use serde::{Deserialize, Serialize};

use crate::state::Record;

/// A JSON value, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub String);

/// How a source gets its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A dSource: a plugin puts data on a share that a staging host has mounted.
    Staged,
    /// A dSource: the engine fetches data from the source's host.
    Direct,
    /// A VDB.
    Virtual,
}

/// A host and who works there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The environment's number.
    pub environment: u64,
    /// The user.
    pub user: String,
}

/// A dataset, or a directory of it, mounted on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mounted {
    /// Where.
    pub place: Place,
    /// The path there.
    pub path: String,
    /// The directory of the dataset, where it is not all.
    #[serde(default)]
    pub shared_path: Option<String>,
}

impl Mounted {
    /// What the host mounts of a dataset, without the server: `/dataset/directory`.
    pub fn export(&self, dataset: &str) -> String {
        let shared = self.shared_path.as_deref().map_or("", |path| path.trim_matches('/'));
        if shared.is_empty() { format!("/{dataset}") } else { format!("/{dataset}/{shared}") }
    }
}

/// A dSource or VDB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How it gets its data.
    pub kind: Kind,
    /// What names it for ever, to plugins.
    pub guid: String,
    /// The plugin's UUID.
    pub plugin: String,
    /// The repository's number.
    pub repository: u64,
    /// Its source config, once there is one.
    #[serde(default)]
    pub config: Option<Sealed>,
    /// Where it comes from (a dSource's own host).
    pub origin: Place,
    /// Where it is mounted: the staging or target host; of a DIRECT dSource the origin.
    pub place: Place,
    /// The plugin's parameters.
    pub parameters: Sealed,
    /// What a sync takes when nothing is said.
    #[serde(default)]
    pub snapshot_parameters: Option<Sealed>,
    /// Where it is mounted now.
    #[serde(default)]
    pub mounts: Vec<Mounted>,
    /// The number of its current timeflow, once there is one.
    #[serde(default)]
    pub timeflow: Option<u64>,
    /// Whether it is whole: one that is being made has only its name.
    #[serde(default)]
    pub is_made: bool,
    /// Whether it is in use; one that is not is mounted nowhere.
    #[serde(default)]
    pub is_enabled: bool,
    /// Whether it is in use but was stopped.
    #[serde(default)]
    pub is_stopped: bool,
}

impl Record for Source {
    const TABLE: &'static str = "source";
    const NOUN: &'static str = "dSource or VDB";

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Source {
    /// The dataset that holds those of its timeflows.
    pub fn folder(&self) -> String {
        match self.kind {
            Kind::Staged | Kind::Direct => format!("dsource/{}", self.name),
            Kind::Virtual => format!("vdb/{}", self.name),
        }
    }

    /// What it is and is called, for messages.
    pub fn describe(&self) -> String {
        format!("{} '{}'", if self.is_virtual() { "VDB" } else { "dSource" }, self.name)
    }

    /// The environments that work on it touches, but for those of its hooks: also where its plugin mounts it besides.
    pub fn environments(&self) -> impl Iterator<Item = u64> {
        let mounts = self.mounts.iter().map(|mounted| &mounted.place);
        [&self.origin, &self.place].into_iter().chain(mounts).map(|place| place.environment)
    }

    /// Whether it is a VDB.
    pub fn is_virtual(&self) -> bool {
        self.kind == Kind::Virtual
    }
}

/// Why a timeflow began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A dSource was linked.
    Link,
    /// A VDB was provisioned.
    Provision,
    /// It was provisioned without anything in it.
    Empty,
    /// It was refreshed.
    Refresh,
    /// It was rewound.
    Rewind,
}

/// One line of snapshots of a source. Refresh and rewind begin another one and keep this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeflow {
    /// The source.
    pub source: u64,
    /// 1 for its first.
    pub ordinal: u64,
    /// The dataset.
    pub dataset: String,
    /// Why it began.
    pub why: Why,
    /// The snapshot that it began from, by its full name then.
    #[serde(default)]
    pub from: Option<String>,
    /// When.
    pub created: Time,
}

impl Record for Timeflow {
    const TABLE: &'static str = "timeflow";
    const NOUN: &'static str = "timeflow";

    fn key(&self) -> String {
        self.ordinal.to_string()
    }

    fn owner(&self) -> u64 {
        self.source
    }
}

/// A snapshot, with what the plugin says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The source.
    pub source: u64,
    /// The timeflow.
    pub timeflow: u64,
    /// Its full name.
    pub name: String,
    /// When it was taken.
    pub created: Time,
    /// The plugin's data.
    pub data: Sealed,
}

impl Record for Point {
    const TABLE: &'static str = "snapshot";
    const NOUN: &'static str = "snapshot";

    fn key(&self) -> String {
        self.name.clone()
    }

    fn owner(&self) -> u64 {
        self.source
    }
}

/// An installation that a plugin discovered on an environment, or a dataset that it discovered there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What it was found on: an environment's number for a repository, a repository's for a source config.
    pub on: u64,
    /// The plugin's UUID.
    pub plugin: String,
    /// Its name, as the plugin's `nameField` has it.
    pub name: String,
    /// What makes it the same at the next discovery, as text.
    pub identity: String,
    /// The plugin's data.
    pub parameters: Sealed,
    /// Whether the last discovery did not find it.
    #[serde(default)]
    pub is_lost: bool,
    /// Whether it was given by hand, and is not looked for.
    #[serde(default)]
    pub is_manual: bool,
}

impl Found {
    fn key(&self) -> String {
        format!("{} {}", self.plugin, self.identity)
    }
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repository(pub Found);

impl Record for Repository {
    const TABLE: &'static str = "repository";
    const NOUN: &'static str = "repository";

    fn key(&self) -> String {
        self.0.key()
    }

    fn owner(&self) -> u64 {
        self.0.on
    }
}

/// A source config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceConfig(pub Found);

impl Record for SourceConfig {
    const TABLE: &'static str = "source_config";
    const NOUN: &'static str = "source config";

    fn key(&self) -> String {
        self.0.key()
    }

    fn owner(&self) -> u64 {
        self.0.on
    }
}

/// A user's script around an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// The source.
    pub source: u64,
    /// Where it runs in the workflow.
    pub at: HookPoint,
    /// Its name; hooks of one point run in the order in which they were added.
    pub name: String,
    /// What bash is to do.
    pub script: Sealed,
    /// Where, if not on the source's own host.
    #[serde(default)]
    pub place: Option<Place>,
}

impl Record for Hook {
    const TABLE: &'static str = "hook";
    const NOUN: &'static str = "hook";

    fn key(&self) -> String {
        format!("{} {}", self.at.as_str(), self.name)
    }

    fn owner(&self) -> u64 {
        self.source
    }
}

/// A name for a snapshot, which keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Its name.
    pub name: String,
    /// The source.
    pub source: u64,
    /// The snapshot's full name.
    pub snapshot: String,
    /// When it was set.
    pub created: Time,
}

impl Record for Bookmark {
    const TABLE: &'static str = "bookmark";
    const NOUN: &'static str = "bookmark";

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Bookmark {
    /// The tag by which it holds its snapshot.
    pub fn tag(&self) -> String {
        format!("{BOOKMARK_TAG}{}", self.name)
    }
}

/// Before a bookmark's name in the tag by which it holds its snapshot.
pub const BOOKMARK_TAG: &str = "bookmark:";

/// A lasting bad state, until somebody or a later try mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is in it.
    pub subject: String,
    /// What is wrong, in one line.
    pub detail: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// Since when.
    pub since: Time,
}

impl Record for Fault {
    const TABLE: &'static str = "fault";
    const NOUN: &'static str = "fault";

    fn key(&self) -> String {
        self.subject.clone()
    }
}
