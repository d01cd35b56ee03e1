//! What `cowctl --json` prints.

use serde::{Deserialize, Serialize};

/// The version of the envelope and of what is in it.
pub const ENVELOPE_VERSION: u32 = 1;

/// A result with what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Envelope<T> {
    /// [`ENVELOPE_VERSION`]; it grows when a field changes its meaning or goes.
    pub version: u32,
    /// What `data` is: `dataset`, `listing`, `job`, `problem` and so on.
    pub kind: String,
    /// The result, as the API answered it.
    pub data: T,
}

impl<T> Envelope<T> {
    /// Wraps `data`.
    pub fn new(kind: impl Into<String>, data: T) -> Self {
        Self { version: ENVELOPE_VERSION, kind: kind.into(), data }
    }
}
