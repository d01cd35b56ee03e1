//! Who has or wants which bytes of which file.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use cow_storage::format::{DatasetId, InodeNumber, SnapshotId};

use crate::locks::Range;

/// A file that can be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct File {
    /// The dataset.
    pub dataset: DatasetId,
    /// The snapshot of it, unless it is the head.
    pub snapshot: Option<SnapshotId>,
    /// The file.
    pub inode: InodeNumber,
}

/// A system whose processes lock files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client {
    /// Its address; `None` is this host.
    pub address: Option<IpAddr>,
    /// What it calls itself; on this host, what it has mounted.
    pub name: String,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address} ({})", self.name.escape_debug()),
            None => write!(f, "{}", self.name.escape_debug()),
        }
    }
}

/// Who holds locks: a process, or whatever a client tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The client.
    pub client: Arc<Client>,
    /// Tells the owner from others of its client.
    pub number: u64,
}

/// How bytes are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Together with others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// A lock, held or wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The file.
    pub file: File,
    /// Who.
    pub owner: Owner,
    /// Which bytes.
    pub range: Range,
    /// How.
    pub kind: Kind,
    /// The owner's process as its client counts them, for those who ask who holds a lock.
    pub process: i32,
    /// What else the client calls the owner, for those who ask.
    pub handle: Arc<[u8]>,
}

impl Kind {
    /// Whether two owners cannot have the same byte in these ways.
    pub fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

impl Claim {
    /// Whether this and another cannot both be held.
    pub fn excludes(&self, other: &Self) -> bool {
        self.kind.excludes(other.kind) && self.range.overlaps(other.range) && self.owner != other.owner
    }

    /// Whether the same owner wants the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |claim: &Self| (claim.file, claim.range, claim.kind);
        of(self) == of(other) && self.owner == other.owner
    }
}
