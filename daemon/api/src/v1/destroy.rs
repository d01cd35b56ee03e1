//! Destroying, and taking that back.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::v1::Problem;

/// Asks that datasets and snapshots be destroyed, all in one step.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Destroy {
    /// Their names. They go in this order, so a dataset may follow those below it.
    pub names: Vec<String>,
    /// Whether datasets below go too.
    #[serde(default)]
    pub recursive: bool,
    /// Whether it cannot be undeleted.
    #[serde(default)]
    pub now: bool,
    /// Whether to say only what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DestroyedEach {
    /// What was destroyed, in the order of the names.
    pub destroyed: Vec<Destroyed>,
    /// Why the name after these was not, and nothing after it.
    #[serde(default)]
    pub problem: Option<Problem>,
}

/// What was destroyed, or with `dry_run` what would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Destroyed {
    /// What was asked for: a dataset or a snapshot.
    pub name: String,
    /// Whether this only says what would happen.
    pub dry_run: bool,
    /// Stored bytes that come back once it is purged. A `dry_run` tells it as a rule; a destroy, which does not wait for it, only where
    /// that takes no time.
    #[serde(default)]
    pub frees: Option<u64>,
    /// The datasets that go.
    pub datasets: Vec<String>,
    /// The snapshots that go, by full name.
    pub snapshots: Vec<String>,
    /// Until when it can be undeleted; absent when it was destroyed at once.
    #[serde(default)]
    pub undelete_until: Option<Time>,
}

/// Asks that a destroy be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undelete {
    /// The name to come back by, where the old one is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Undeleted {
    /// The dataset or snapshot, by its present name.
    pub name: String,
}
