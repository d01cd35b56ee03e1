//! Paths that differ between two snapshots, a snapshot and a head, a clone and its origin.

use serde::{Deserialize, Serialize};

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// A file, or one more name of a file, that the older one has not.
    Added,
    /// A file, or a name of a file, that the newer one has not.
    Removed,
    /// Its content or attributes changed.
    Modified,
    /// The same file has another path. Its content and attributes may have changed too.
    Renamed,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// What happened.
    pub kind: DifferenceKind,
    /// The path, from the dataset's root. Bytes that are not UTF-8 are written as `\xNN`, a backslash as `\\`.
    pub path: String,
    /// Where it was before, for a rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Bytes of the file's blocks that differ, became a hole, or were one: all its blocks, where the file is in one state only.
    pub changed_bytes: u64,
}

/// All that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diff {
    /// The older side, as resolved.
    pub older: String,
    /// The newer side, as resolved.
    pub newer: String,
    /// The differences.
    pub differences: Vec<Difference>,
    /// Whether there are more than the limit let through.
    #[serde(default)]
    pub truncated: bool,
}
