//! NFSv3's status numbers, and which one tells a client what the engine said.

use cow_storage::error::{Error, ErrorKind};

/// A status of NFSv3 (RFC 1813, 2.6); those of MOUNT have the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

/// The RFC gives the meaning of each name.
impl Status {
    pub const OK: Self = Self(0);
    pub const PERMISSION: Self = Self(1);
    pub const NO_ENTRY: Self = Self(2);
    pub const IO: Self = Self(5);
    pub const ACCESS: Self = Self(13);
    pub const EXISTS: Self = Self(17);
    pub const NOT_DIRECTORY: Self = Self(20);
    pub const IS_DIRECTORY: Self = Self(21);
    pub const INVALID: Self = Self(22);
    pub const TOO_LARGE: Self = Self(27);
    pub const NO_SPACE: Self = Self(28);
    pub const READ_ONLY: Self = Self(30);
    pub const TOO_MANY_LINKS: Self = Self(31);
    pub const NAME_TOO_LONG: Self = Self(63);
    pub const NOT_EMPTY: Self = Self(66);
    pub const QUOTA: Self = Self(69);
    pub const STALE: Self = Self(70);
    pub const CROSS_DEVICE: Self = Self(18);
    pub const BAD_HANDLE: Self = Self(10_001);
    pub const NOT_SYNCHRONIZED: Self = Self(10_002);
    pub const BAD_COOKIE: Self = Self(10_003);
    pub const NOT_SUPPORTED: Self = Self(10_004);
    pub const TOO_SMALL: Self = Self(10_005);
    pub const SERVER_FAULT: Self = Self(10_006);
    pub const BAD_TYPE: Self = Self(10_007);
    pub const TRY_LATER: Self = Self(10_008);
}

impl From<ErrorKind> for Status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NO_ENTRY,
            ErrorKind::Exists => Self::EXISTS,
            ErrorKind::NotEmpty => Self::NOT_EMPTY,
            ErrorKind::NotDirectory => Self::NOT_DIRECTORY,
            ErrorKind::IsDirectory => Self::IS_DIRECTORY,
            ErrorKind::Invalid => Self::INVALID,
            ErrorKind::NameTooLong => Self::NAME_TOO_LONG,
            ErrorKind::TooManyLinks => Self::TOO_MANY_LINKS,
            ErrorKind::TooLarge => Self::TOO_LARGE,
            ErrorKind::Access => Self::ACCESS,
            ErrorKind::Permission => Self::PERMISSION,
            ErrorKind::ReadOnly => Self::READ_ONLY,
            ErrorKind::NoSpace => Self::NO_SPACE,
            ErrorKind::Quota => Self::QUOTA,
            ErrorKind::Conflict => Self::NOT_SYNCHRONIZED,
            ErrorKind::Stale => Self::STALE,
            ErrorKind::Unsupported => Self::NOT_SUPPORTED,
            ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::UnknownVersion => Self::IO,
            // The client asks again: by then the pool is free, or open again with a new write verifier.
            ErrorKind::Busy | ErrorKind::Poisoned => Self::TRY_LATER,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::from(error.kind())
    }
}
