//! A change that was checked, with all that it was derived from: what `apply` does and the log keeps.

mod codec;

use crate::format::{InodeNumber, Timestamp};
use crate::fs::Inode;

/// One checked change. It borrows names and data from the caller, or from the log it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Sets bytes of a file, and extends it to hold them; where there are none, to their place.
    Write {
        /// The file.
        inode: InodeNumber,
        /// Where the bytes go.
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
        /// The file's time of modification after it.
        modified: Timestamp,
        /// The file's time of change after it.
        changed: Timestamp,
        /// Whether the mode loses the bits that set user and group on execution.
        clear_setid: bool,
    },
    /// Sets attributes.
    SetAttributes {
        /// Whose.
        inode: InodeNumber,
        /// What they become.
        set: Settings,
        /// When.
        now: Timestamp,
    },
    /// Makes a new object under a new name.
    Create {
        /// The directory that gets the name.
        directory: InodeNumber,
        /// Where in it.
        position: u64,
        /// The name.
        name: &'a [u8],
        /// The object.
        inode: Inode,
        /// Of a symbolic link its target; of others empty.
        target: &'a [u8],
        /// When.
        now: Timestamp,
    },
    /// Gives an object one more name.
    Link {
        /// The object.
        inode: InodeNumber,
        /// The directory that gets the name.
        directory: InodeNumber,
        /// Where in it.
        position: u64,
        /// The name.
        name: &'a [u8],
        /// When.
        now: Timestamp,
    },
    /// Takes a name away: of a file, or of an empty directory.
    Remove {
        /// The directory that has the name.
        directory: InodeNumber,
        /// Where in it.
        position: u64,
        /// What it names.
        inode: InodeNumber,
        /// What becomes of that.
        fate: Fate,
        /// When.
        now: Timestamp,
    },
    /// Moves a name.
    Rename {
        /// The directory that has the name.
        from_directory: InodeNumber,
        /// Where in it.
        from_position: u64,
        /// The directory that gets it.
        to_directory: InodeNumber,
        /// Where in it.
        to_position: u64,
        /// The new name.
        name: &'a [u8],
        /// What has the new name so far, and what becomes of it.
        replaced: Option<(InodeNumber, Fate)>,
        /// When.
        now: Timestamp,
    },
    /// Makes bytes of a file a hole.
    Punch {
        /// The file.
        inode: InodeNumber,
        /// The first byte.
        first: u64,
        /// One past the last.
        end: u64,
        /// Whether the mode loses the bits that set user and group on execution.
        clear_setid: bool,
        /// When.
        now: Timestamp,
    },
    /// Sets an extended attribute.
    SetXattr {
        /// Whose.
        inode: InodeNumber,
        /// Where among its attributes.
        position: u64,
        /// The attribute's name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
        /// When.
        now: Timestamp,
    },
    /// Removes an extended attribute.
    RemoveXattr {
        /// Whose.
        inode: InodeNumber,
        /// Where among its attributes.
        position: u64,
        /// When.
        now: Timestamp,
    },
    /// Gives back a piece of an orphan's content, and at last the orphan.
    Reap {
        /// The orphan.
        inode: InodeNumber,
        /// The piece's first byte.
        first: u64,
        /// One past its last.
        end: u64,
        /// Whether nothing of the orphan remains.
        last: bool,
    },
}

/// What becomes of an object that loses a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has other names.
    Keep,
    /// It waits to be reaped: somebody has it open, or it is large.
    Orphan,
    /// It is gone.
    Erase,
}

/// What attributes become; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Settings {
    /// Permission bits, 07777.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Owning group.
    pub gid: Option<u32>,
    /// Length, in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub accessed: Option<Timestamp>,
    /// Last change of content.
    pub modified: Option<Timestamp>,
    /// Creation.
    pub created: Option<Timestamp>,
}

/// An encoded record: the log stores `head` and then `tail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// All but the bulk.
    pub head: Vec<u8>,
    /// The bulk, borrowed from the record: a write's bytes, an extended attribute's value, or nothing.
    pub tail: &'a [u8],
}

impl Encoded<'_> {
    /// Both parts as one.
    pub fn to_vec(&self) -> Vec<u8> {
        [&self.head, self.tail].concat()
    }
}
