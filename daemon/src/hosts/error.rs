//! Why a host did not do what was asked.

use std::io;
use std::time::Duration;

use cow_api::v1::{Code, Problem};

/// Why a host did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} on {host}: {why}")]
pub struct HostError {
    /// The environment's name and the host's address.
    pub host: String,
    /// What was being done, as in `run a command`.
    pub act: String,
    /// Why it was not.
    pub why: Why,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No connection came about, or one that was lost before anything was sent: to try again is safe.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It does not let the user in.
    #[error("it does not let '{user}' in: {message}")]
    Refused {
        /// The user.
        user: String,
        /// What ssh said.
        message: String,
    },
    /// Its key is not pinned.
    #[error("its key is not known")]
    UnknownKey,
    /// It shows another key than the pinned one.
    #[error("its key is {shown}, but {pinned} was pinned")]
    ChangedKey {
        /// The fingerprint that was pinned.
        pinned: String,
        /// The one that it shows now.
        shown: String,
        /// The environment.
        environment: String,
    },
    /// The connection was lost after the order was sent: it may have been carried out, in part or as a whole.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// It took too long, and was ended.
    #[error("it took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The caller wanted no more, and it was ended.
    #[error("it was cancelled")]
    Cancelled,
    /// It wrote more than can be taken, and was ended.
    #[error("it wrote more than {} MiB", .0 >> 20)]
    TooMuch(usize),
    /// What was to be sent cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A step ended with another exit code than zero.
    #[error("it ended with {exit_code}: {message}")]
    Failed {
        /// The exit code.
        exit_code: i32,
        /// What it wrote to stderr.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Something on cowd's own host is missing or failed.
    #[error("{0}")]
    Here(String),
}

impl HostError {
    /// Whether nothing was begun, so that the same may be asked again.
    pub fn is_retry_safe(&self) -> bool {
        matches!(self.why, Why::Unreachable(_))
    }

    /// Whether the caller ended it.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.why, Why::Cancelled)
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Here(error.to_string())
    }
}

impl Why {
    fn code(&self) -> Code {
        match self {
            Self::Cancelled => Code::Cancelled,
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Here(_) => Code::Io,
            _ => Code::HostFailed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable(_) => {
                "check that the host is up and that its sshd can be reached from here, then try again".to_owned()
            }
            Self::Refused { .. } => {
                "check the user's key or password, and the log of the host's sshd; 'cowctl env user add' replaces them"
                    .to_owned()
            }
            Self::UnknownKey => "pin it by 'cowctl env accept-key'".to_owned(),
            Self::ChangedKey { environment, .. } => format!(
                "if the host was set up anew, 'cowctl env accept-key {environment}' pins its new key; else somebody may be in between"
            ),
            Self::Lost(_) => "see what was done on the host before you try again".to_owned(),
            Self::Failed { hint, .. } => return hint.clone(),
            _ => return None,
        })
    }
}

impl From<HostError> for Problem {
    fn from(error: HostError) -> Self {
        let problem = Self::new(error.why.code(), error.to_string());
        match error.why.hint() {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        }
    }
}
