//! Errors, as RFC 9457 has them, with a stable code and what to do.

use serde::{Deserialize, Serialize};

use crate::v1::Code;

/// The media type of a [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Names the kind of problem: `urn:cow:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code says to people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong.
    pub code: Code,
    /// What was being done and why it failed, in one line.
    pub detail: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What a plugin or a command printed about it, in any number of lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<str>>,
}

impl Problem {
    /// A problem with this code; `detail` names the act that failed and why.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:cow:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            hint: None,
            output: None,
        }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, with what was printed about it, unless that is nothing.
    #[must_use]
    pub fn with_output(self, output: impl Into<String>) -> Self {
        Self { output: Some(output.into().into_boxed_str()).filter(|output| !output.is_empty()), ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
