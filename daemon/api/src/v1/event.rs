//! What happens, as it happens: the data of server-sent events, whose `event` is the happening's kind.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::{Job, ScrubProgress};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Its number since the daemon started; grows by one.
    pub number: u64,
    /// When it happened.
    pub at: Time,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    /// A job began, got on, or ended.
    Job {
        /// The job as it is now.
        job: Box<Job>,
    },
    /// Scrubbing began, ended, was paused or came upon damage.
    Scrub {
        /// How far it is now.
        scrub: Box<ScrubProgress>,
    },
    /// A dataset changed.
    Dataset {
        /// Its name; after a rename the new one.
        name: String,
        /// What changed.
        change: Change,
    },
    /// A snapshot changed.
    Snapshot {
        /// Its full name; after a rename the new one.
        name: String,
        /// What changed.
        change: Change,
    },
    /// Something was mounted on the daemon's host, or unmounted.
    Mount {
        /// The dataset, or the snapshot's full name.
        name: String,
        /// Where.
        path: String,
        /// What changed.
        change: Change,
    },
}

impl Happening {
    /// Its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Job { .. } => "job",
            Self::Scrub { .. } => "scrub",
            Self::Dataset { .. } => "dataset",
            Self::Snapshot { .. } => "snapshot",
            Self::Mount { .. } => "mount",
        }
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was made.
    Created,
    /// It has another name.
    Renamed,
    /// Its properties or holds are others.
    Set,
    /// Who may mount it is another.
    Shared,
    /// It has a snapshot's content again.
    Rewound,
    /// It was destroyed.
    Destroyed,
    /// Its destroy was taken back.
    Undeleted,
    /// It was mounted.
    Mounted,
    /// It was unmounted.
    Unmounted,
}
