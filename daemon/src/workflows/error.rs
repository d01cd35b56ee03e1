//! Why a recipe did not come to its end, and what it left.

use cow_storage::error::ErrorKind;

use crate::workflows::Problems;

/// Why a recipe did not come to its end. The messages say what is left of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The progress function asked to stop.
    #[error("cancelled; {left}")]
    Cancelled {
        /// What is left.
        left: String,
    },
    /// It came to its end, but not for all paths.
    #[error("{problems}; {left}")]
    Incomplete {
        /// The paths, and what was wrong with each.
        problems: Problems,
        /// What is left.
        left: String,
    },
    /// It stopped where it stood.
    #[error("stopped; {left}")]
    Stopped {
        /// Why.
        source: cow_storage::error::Error,
        /// What is left.
        left: String,
    },
    /// It did not begin: everything is as before.
    #[error(transparent)]
    Refused(#[from] cow_storage::error::Error),
}

impl Error {
    /// The kind of what went wrong, of the first path where there are several; `None` if it was cancelled.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Cancelled { .. } => None,
            Self::Incomplete { problems, .. } => problems.first.first().map(|problem| problem.error.kind()),
            Self::Stopped { source, .. } | Self::Refused(source) => Some(source.kind()),
        }
    }
}
