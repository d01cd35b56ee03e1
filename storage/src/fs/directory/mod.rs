//! The names of a directory: found by hash, listed by cookie.
//!
//! Invariant: an entry keeps its position, which is its cookie, as long as it exists; names of one
//! hash differ in their ordinal, and a name is in its directory at most once.

mod codec;

pub(crate) use codec::{decode, encode};

use crate::content::Items;
use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::layout::{self, ENTRY_HASH_BITS, ORDINAL_BITS, XATTR_HASH_BITS};
use crate::fs::{FileKind, NAME_MAX};

const ORDINALS: u64 = 1 << ORDINAL_BITS;

/// Hashes names with a secret, so that nobody can choose names that collide.
#[derive(Clone)]
pub struct Names {
    key: [u8; 32],
    hash_mask: u64,
}

impl Names {
    /// Hashes with this secret; it must stay the same for the life of a dataset.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, hash_mask: u64::MAX }
    }

    /// Hashes to few values only, so that names collide.
    #[cfg(test)]
    pub(crate) fn narrow(key: [u8; 32], hash_mask: u64) -> Self {
        Self { key, hash_mask }
    }

    fn hash(&self, name: &[u8], bits: u32) -> u64 {
        let hash = blake3::keyed_hash(&self.key, name);
        let word = u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"));
        // Zero is left out: the cookies 0, 1 and 2 mean the start, `.` and `..`.
        (word >> (64 - bits) & self.hash_mask).max(1)
    }

    /// The first position that an entry of this name may have.
    pub(crate) fn entry_position(&self, name: &[u8]) -> u64 {
        self.hash(name, ENTRY_HASH_BITS) << ORDINAL_BITS
    }

    /// The first position that an extended attribute of this name may have.
    pub(crate) fn xattr_position(&self, name: &[u8]) -> u64 {
        self.hash(name, XATTR_HASH_BITS) << ORDINAL_BITS
    }
}

/// A name in a directory, and what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub position: u64,
    pub inode: InodeNumber,
    pub kind: FileKind,
}

/// Where a name is, or where it could go.
pub(crate) enum Place {
    Taken(Entry),
    Free(u64),
    /// All ordinals of its hash are taken.
    Full,
}

impl Place {
    /// The entry, if the name is there.
    pub fn taken(self) -> Option<Entry> {
        match self {
            Self::Taken(entry) => Some(entry),
            Self::Free(_) | Self::Full => None,
        }
    }

    /// The position for a new entry; `Exists` if the name is there.
    pub fn free(self) -> Result<u64> {
        match self {
            Self::Taken(_) => Err(ErrorKind::Exists.into()),
            Self::Free(position) => Ok(position),
            Self::Full => Err(full()),
        }
    }
}

/// Every ordinal of a name's hash is taken.
pub(crate) fn full() -> Error {
    Error::new(ErrorKind::NoSpace, "cannot add a name: too many others have its hash")
}

/// Looks for a name; `.` and `..` are not entries.
pub(crate) fn find(items: &dyn Items, names: &Names, directory: InodeNumber, name: &[u8]) -> Result<Place> {
    let first = names.entry_position(name);
    let (mut free, mut place) = (first, None);
    let range = (layout::entry_key(directory, first), layout::entry_key(directory, first + ORDINALS - 1));
    items.scan(range.0, range.1, &mut |key, value| {
        free += u64::from(key.position == free);
        match codec::decode(value) {
            Ok((inode, kind, found)) if found == name => {
                place = Some(Ok(Place::Taken(Entry { position: key.position, inode, kind })));
            }
            Ok(_) => {}
            Err(error) => place = Some(Err(error)),
        }
        place.is_none()
    })?;
    Ok(match place {
        Some(place) => place?,
        None if free < first + ORDINALS => Place::Free(free),
        None => Place::Full,
    })
}

/// The entry at a position.
pub(crate) fn entry_at(items: &dyn Items, directory: InodeNumber, position: u64) -> Result<Entry> {
    let value = items.get(layout::entry_key(directory, position))?.ok_or(Error::from(ErrorKind::NotFound))?;
    let (inode, kind, _) = codec::decode(&value)?;
    Ok(Entry { position, inode, kind })
}

/// Calls `found` with the entries after a cookie in order, until it returns false.
pub(crate) fn list(
    items: &dyn Items,
    directory: InodeNumber,
    after: u64,
    found: &mut dyn FnMut(Entry, &[u8]) -> bool,
) -> Result<()> {
    let Some(first) = after.checked_add(1) else { return Ok(()) };
    let mut problem = None;
    let range = (layout::entry_key(directory, first), layout::entry_key(directory, u64::MAX));
    items.scan(range.0, range.1, &mut |key, value| match codec::decode(value) {
        Ok((inode, kind, name)) => found(Entry { position: key.position, inode, kind }, name),
        Err(error) => {
            problem = Some(error);
            false
        }
    })?;
    problem.map_or(Ok(()), |error| Err(error.into()))
}

/// Whether a directory has no entries.
pub(crate) fn is_empty(items: &dyn Items, directory: InodeNumber) -> Result<bool> {
    let mut empty = true;
    list(items, directory, 0, &mut |_, _| {
        empty = false;
        false
    })?;
    Ok(empty)
}

/// Checks that a directory can have an entry of this name; `.` and `..` are for the caller.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
        Err(Error::new(ErrorKind::Invalid, "a name must not be empty nor have a slash or NUL in it"))
    } else if name.len() > NAME_MAX {
        Err(ErrorKind::NameTooLong.into())
    } else {
        Ok(())
    }
}
