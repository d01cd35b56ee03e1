//! What went wrong, at the engine's edge: a coarse kind, the act that failed, and its cause.
//!
//! A message names the act and never repeats its cause; whoever prints walks the chain.

use std::borrow::Cow;
use std::fmt;

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller may decide upon. Fronts translate it into their protocol's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No such file, dataset or snapshot.
    NotFound,
    /// The name is taken.
    Exists,
    /// The directory still has names in it.
    NotEmpty,
    /// A directory was needed, and this is none.
    NotDirectory,
    /// This is a directory, and must not be one.
    IsDirectory,
    /// An argument is outside what the act allows.
    Invalid,
    /// The name is longer than 255 bytes.
    NameTooLong,
    /// More hard links than an inode can count.
    TooManyLinks,
    /// The offset or size is beyond what a file can have.
    TooLarge,
    /// The caller may not do this: its permission bits say no.
    Access,
    /// The caller does not own this, and only the owner or the superuser may do it.
    Permission,
    /// The dataset, or this view of it, takes no writes.
    ReadOnly,
    /// The pool has no room left.
    NoSpace,
    /// The dataset's quota is used up.
    Quota,
    /// The act and something under way exclude each other: try again later.
    Busy,
    /// The state is not the one that the caller expected (a guard did not match).
    Conflict,
    /// The file or dataset behind this handle is gone.
    Stale,
    /// The operation does not exist for this kind of object.
    Unsupported,
    /// Stored bytes are not what was written. Retrying will not help; a replica might.
    Corrupt,
    /// The disk or its file system refused; what is stored is as before.
    Io,
    /// A write or sync failed, so what is durable is unknown. Close the pool and reopen it.
    Poisoned,
    /// Stored by a version of the format that this build does not know.
    UnknownVersion,
}

/// An error of the engine.
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error whose `message` names the act that failed.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same, with its cause.
    pub fn because(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// Wraps this error in the larger act that it made fail, keeping its kind.
    #[must_use]
    pub fn during(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: self.kind, message: message.into(), source: Some(Box::new(self)) }
    }

    /// What a caller may decide upon.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        let message = match kind {
            ErrorKind::NotFound => "no such file or directory",
            ErrorKind::Exists => "the name is taken",
            ErrorKind::NotEmpty => "the directory is not empty",
            ErrorKind::NotDirectory => "not a directory",
            ErrorKind::IsDirectory => "is a directory",
            ErrorKind::Invalid => "invalid argument",
            ErrorKind::NameTooLong => "the name is longer than 255 bytes",
            ErrorKind::TooManyLinks => "too many hard links",
            ErrorKind::TooLarge => "beyond the largest file size",
            ErrorKind::Access => "permission denied",
            ErrorKind::Permission => "only the owner may do this",
            ErrorKind::ReadOnly => "read-only",
            ErrorKind::NoSpace => "the pool is full",
            ErrorKind::Quota => "the dataset's quota is used up",
            ErrorKind::Busy => "busy",
            ErrorKind::Conflict => "the state is not the expected one",
            ErrorKind::Stale => "the file or dataset is gone",
            ErrorKind::Unsupported => "not supported for this kind of object",
            ErrorKind::Corrupt => "stored bytes are not what was written",
            ErrorKind::Io => "input or output failed",
            ErrorKind::Poisoned => "an earlier write or sync failed; reopen the pool",
            ErrorKind::UnknownVersion => "stored in a format that this version does not know",
        };
        Self::new(kind, message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
