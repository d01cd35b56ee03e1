//! The number that tells a program what the engine said.

use cow_storage::error::{Error, ErrorKind};
use fuser::Errno;

/// A request that failed, as its program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub Errno);

/// What a request comes to.
pub type Outcome<T> = Result<T, Failure>;

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self(match kind {
            ErrorKind::NotFound => Errno::ENOENT,
            ErrorKind::Exists => Errno::EEXIST,
            ErrorKind::NotEmpty => Errno::ENOTEMPTY,
            ErrorKind::NotDirectory => Errno::ENOTDIR,
            ErrorKind::IsDirectory => Errno::EISDIR,
            ErrorKind::Invalid => Errno::EINVAL,
            ErrorKind::NameTooLong => Errno::ENAMETOOLONG,
            ErrorKind::TooManyLinks => Errno::EMLINK,
            ErrorKind::TooLarge => Errno::EFBIG,
            ErrorKind::Access => Errno::EACCES,
            ErrorKind::Permission => Errno::EPERM,
            ErrorKind::ReadOnly => Errno::EROFS,
            ErrorKind::NoSpace => Errno::ENOSPC,
            ErrorKind::Quota => Errno::EDQUOT,
            ErrorKind::Stale => Errno::ESTALE,
            ErrorKind::Unsupported => Errno::EOPNOTSUPP,
            // Waited for already, longer than any verb takes.
            ErrorKind::Busy | ErrorKind::Conflict => Errno::EBUSY,
            ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Poisoned | ErrorKind::UnknownVersion => Errno::EIO,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(error.kind())
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}
