//! Scrubbing: all that is stored is read and checked bit by bit, beside everything else.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::Damage;

/// How a pass of scrubbing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScrubState {
    /// There never was one.
    #[default]
    Never,
    /// It goes on.
    Running,
    /// It waits to be started again, also over restarts.
    Paused,
    /// It came to its end.
    Finished,
    /// It was ended before that.
    Cancelled,
}

impl ScrubState {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Asks for a pass.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StartScrub {
    /// Begin at the beginning, whatever runs or is paused.
    #[serde(default)]
    pub anew: bool,
}

/// How far the pass is that is under way, or was last.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScrubProgress {
    /// How it is.
    pub state: ScrubState,
    /// When it began.
    #[serde(default)]
    pub begun: Option<Time>,
    /// Since when it is as it is: of one that is over, when it ended.
    #[serde(default)]
    pub since: Option<Time>,
    /// 0 to 100.
    pub percent: f64,
    /// Stored bytes read.
    pub bytes_done: u64,
    /// Stored bytes that there were when it began, about.
    pub bytes_total: u64,
    /// Extents and nodes read.
    pub objects: u64,
    /// Bytes a second, since it goes on without a break.
    pub rate: f64,
    /// Seconds that the rest will take at that rate, where that is known.
    #[serde(default)]
    pub eta_seconds: Option<u64>,
    /// How much damage it has found.
    pub found: u64,
    /// When a pass last came to its end.
    #[serde(default)]
    pub finished: Option<Time>,
    /// How much damage that one had found.
    pub finished_found: u64,
    /// When the next one begins by itself, if the configuration says so.
    #[serde(default)]
    pub next: Option<Time>,
}

/// The same, with what it found.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scrub {
    /// How far it is.
    #[serde(flatten)]
    pub progress: ScrubProgress,
    /// The first damage that it found, at most 1,000; it stays until the next pass begins.
    pub damage: Vec<Damage>,
}
