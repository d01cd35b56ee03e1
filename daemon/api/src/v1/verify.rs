//! Verification: everything is read and checked. A job.

use serde::{Deserialize, Serialize};

/// Asks for a verification.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The dataset or snapshot; without it, the whole pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerifyReport {
    /// Extents and nodes read.
    pub objects: u64,
    /// Stored bytes read.
    pub bytes: u64,
    /// Everything that is wrong; empty when all is well.
    pub damage: Vec<Damage>,
}

/// Stored bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Damage {
    /// The dataset or snapshot that is hit, where one is.
    #[serde(default)]
    pub dataset: Option<String>,
    /// The path that is hit, or its inode where no path was found.
    #[serde(default)]
    pub path: Option<String>,
    /// Where in the file.
    #[serde(default)]
    pub offset: Option<u64>,
    /// What is wrong.
    pub problem: String,
}
