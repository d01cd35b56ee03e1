//! Bookmarks: names for snapshots of dSources and VDBs, which keep them from being destroyed.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Asks for a bookmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewBookmark {
    /// Its name, which no other bookmark has, and no dSource or VDB.
    pub name: String,
    /// The snapshot: by its full name, as `SOURCE@TIME`, or `SOURCE` for the newest.
    pub snapshot: String,
}

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bookmark {
    /// Its name.
    pub name: String,
    /// The dSource or VDB whose snapshot it names.
    pub source: String,
    /// The snapshot, by its full name.
    pub snapshot: String,
    /// When it was set.
    pub created: Time,
}

/// All bookmarks.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bookmarks {
    /// In the order in which they were set.
    pub bookmarks: Vec<Bookmark>,
}
