//! dSources and VDBs: what is linked and what is provisioned.

use serde::{Deserialize, Serialize};

/// What a job did with a dSource or VDB.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// The snapshot that was taken, by its full name.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// Bytes that this snapshot added to the pool, where that is known.
    #[serde(default)]
    pub stored: Option<u64>,
}
