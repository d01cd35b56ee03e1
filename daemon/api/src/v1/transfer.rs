//! Import and export: trees of the host that become datasets, and the way back. Both are jobs.

use serde::{Deserialize, Serialize};

use crate::v1::{Profile, PropertyChange};

/// Asks that a directory of the host be read into a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The directory, as an absolute path on the daemon's host.
    pub from: String,
    /// The dataset; it is made where there is none, and has the directory's content afterwards.
    pub dataset: String,
    /// Sets block and extent size of a dataset that is made.
    #[serde(default)]
    pub profile: Profile,
    /// Properties of a dataset that is made.
    #[serde(default)]
    pub properties: PropertyChange,
}

/// Asks that a dataset or snapshot be written out as plain files.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The dataset or snapshot.
    pub from: String,
    /// The directory, as an absolute path on the daemon's host; made where there is none, else empty.
    pub to: String,
}

/// What an import or export did.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferReport {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Links, devices, pipes and sockets.
    pub others: u64,
    /// Bytes of content, without holes.
    pub bytes: u64,
    /// Things that could not be kept, one line each; at most a hundred.
    #[serde(default)]
    pub warnings: Vec<String>,
}
