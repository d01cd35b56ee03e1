//! Policies: what is done with dSources and VDBs again and again, and what is kept of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;
use crate::v1::{Job, Problem};

/// What a policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Syncs dSources.
    Sync,
    /// Takes snapshots of VDBs.
    Snapshot,
    /// Refreshes VDBs to the newest snapshot of what they were provisioned from.
    Refresh,
    /// Removes snapshots that its grid does not keep.
    Retention,
}

impl PolicyKind {
    /// Its text, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Snapshot => "snapshot",
            Self::Refresh => "refresh",
            Self::Retention => "retention",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Sync, Self::Snapshot, Self::Refresh, Self::Retention].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How many snapshots a retention policy keeps: of each of the last so many periods that have one, the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The last so many, whenever they were taken.
    #[serde(default)]
    pub last: u32,
    /// Hours.
    #[serde(default)]
    pub hourly: u32,
    /// Days.
    #[serde(default)]
    pub daily: u32,
    /// Weeks, which begin on Mondays.
    #[serde(default)]
    pub weekly: u32,
    /// Months.
    #[serde(default)]
    pub monthly: u32,
    /// Years.
    #[serde(default)]
    pub yearly: u32,
}

/// Asks for a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: PolicyKind,
    /// When: cron's five fields, as `0 2 * * *`.
    pub schedule: String,
    /// In which time zone, as `Europe/Berlin`; UTC by default. Days and so on of what it keeps are those of this zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// What a retention policy keeps.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// The plugin's snapshot parameters, of a sync policy; those that are stored with the dSource by default.
    #[serde(default)]
    pub snapshot_parameters: Option<Value>,
    /// The dSources and VDBs that it is applied to.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// Changes a policy: what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// In which time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What a retention policy keeps, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// The plugin's snapshot parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_parameters: Option<Value>,
    /// Whether it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// Sources to apply it to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apply: Vec<String>,
    /// Sources to apply it to no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unapply: Vec<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: PolicyKind,
    /// When, in cron's five fields.
    pub schedule: String,
    /// In which time zone.
    pub zone: String,
    /// What a retention policy keeps.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// Whether it has snapshot parameters, which are not shown.
    pub has_snapshot_parameters: bool,
    /// Whether it runs by itself.
    pub is_enabled: bool,
    /// The dSources and VDBs that it is applied to.
    pub sources: Vec<String>,
    /// When it ran by itself last.
    #[serde(default)]
    pub last: Option<Time>,
    /// When it runs next.
    #[serde(default)]
    pub next: Option<Time>,
}

/// All policies.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policies {
    /// In the order in which they were added.
    pub policies: Vec<Policy>,
}

/// What a policy did or would do, for each source.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyRun {
    /// In the order in which it was applied to them.
    pub sources: Vec<SourceRun>,
}

/// What a policy did or would do with one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceRun {
    /// The source.
    pub source: String,
    /// What is done, in one line.
    pub what: String,
    /// The job that does it; none where it was only asked what it would do.
    #[serde(default)]
    pub job: Option<Job>,
    /// Why it is not done.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// Of a retention policy: what becomes of each snapshot, the newest first.
    #[serde(default)]
    pub snapshots: Vec<Verdict>,
    /// Timeflows that go with their last snapshot, by dataset.
    #[serde(default)]
    pub timeflows: Vec<String>,
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// Its full name.
    pub snapshot: String,
    /// When it was taken.
    pub created: Time,
    /// Why it is kept; it goes where there is no reason.
    pub kept: Vec<String>,
}
