//! Extended attributes: small values beside their name, the rest in chunks.
//!
//! Invariant: [`Inode::xattr_names`] is the sum over the names that are stored, and no chunk is
//! stored beyond the length that its header tells.

mod codec;

pub(crate) use codec::decode;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use codec::encode;

use crate::content::{Items, ItemsMut};
use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::layout::{self, CHUNK_LENGTH, ORDINAL_BITS, XATTR_INLINE_LENGTH};
use crate::fs::{Caller, FileKind, Inode, NAME_MAX, Names, access, directory};

/// Where an extended attribute is, or where it could go.
pub(crate) enum Place {
    Taken(u64),
    Free(u64),
    /// All ordinals of its hash are taken.
    Full,
}

impl Place {
    /// The position of the attribute, if it is there.
    pub fn taken(self) -> Option<u64> {
        match self {
            Self::Taken(position) => Some(position),
            Self::Free(_) | Self::Full => None,
        }
    }

    /// The position to store it at, old or new.
    pub fn any(self) -> Result<u64> {
        match self {
            Self::Taken(position) | Self::Free(position) => Ok(position),
            Self::Full => Err(directory::full()),
        }
    }
}

/// Looks for an attribute.
pub(crate) fn find(items: &dyn Items, names: &Names, inode: InodeNumber, name: &[u8]) -> Result<Place> {
    let first = names.xattr_position(name);
    let last = first + (1 << ORDINAL_BITS) - 1;
    let (mut free, mut place) = (first, None);
    items.scan(layout::xattr_key(inode, first), layout::xattr_key(inode, last), &mut |key, value| {
        free += u64::from(key.position == free);
        match codec::decode(value) {
            Ok(header) if header.name == name => place = Some(Ok(Place::Taken(key.position))),
            Ok(_) => {}
            Err(error) => place = Some(Err(error)),
        }
        place.is_none()
    })?;
    Ok(match place {
        Some(place) => place?,
        None if free <= last => Place::Free(free),
        None => Place::Full,
    })
}

/// The names of an inode's attributes, in no order.
pub(crate) fn list(items: &dyn Items, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
    let (mut names, mut problem) = (Vec::new(), None);
    items.scan(layout::xattr_key(inode, 0), layout::xattr_key(inode, u64::MAX), &mut |_, value| {
        match codec::decode(value) {
            Ok(header) => names.push(header.name.to_vec()),
            Err(error) => problem = Some(error),
        }
        problem.is_none()
    })?;
    problem.map_or(Ok(names), |error| Err(error.into()))
}

/// The whole value of the attribute at a position.
pub(crate) fn value(items: &dyn Items, inode: InodeNumber, position: u64) -> Result<Vec<u8>> {
    let item = items.get(layout::xattr_key(inode, position))?.ok_or(Error::from(ErrorKind::NotFound))?;
    let header = codec::decode(&item)?;
    let mut value = header.inline.to_vec();
    let chunks = chunk_count(header.value_length);
    if chunks > 0 {
        let last = layout::xattr_chunk_key(inode, position, chunks - 1);
        items.scan(layout::xattr_chunk_key(inode, position, 0), last, &mut |_, chunk| {
            value.extend_from_slice(chunk);
            true
        })?;
    }
    if value.len() == header.value_length { Ok(value) } else { Err(ErrorKind::Corrupt.into()) }
}

fn chunk_count(value_length: usize) -> u64 {
    value_length.saturating_sub(XATTR_INLINE_LENGTH).div_ceil(CHUNK_LENGTH) as u64
}

/// What an attribute's name counts for in [`Inode::xattr_names`].
pub(crate) fn name_size(name: &[u8]) -> u32 {
    name.len() as u32 + 1
}

/// Stores an attribute at a position, in place of the one that is there.
pub(crate) fn put(items: &mut dyn ItemsMut, inode: &mut Inode, position: u64, name: &[u8], value: &[u8]) -> Result<()> {
    delete(items, inode, position)?;
    let (inline, rest) = value.split_at(value.len().min(XATTR_INLINE_LENGTH));
    items.put(layout::xattr_key(inode.number, position), codec::encode(name, value.len(), inline))?;
    for (number, chunk) in rest.chunks(CHUNK_LENGTH).enumerate() {
        items.put(layout::xattr_chunk_key(inode.number, position, number as u64), chunk.to_vec())?;
    }
    inode.xattr_names += name_size(name);
    Ok(())
}

/// Removes the attribute at a position, if there is one.
pub(crate) fn delete(items: &mut dyn ItemsMut, inode: &mut Inode, position: u64) -> Result<()> {
    let key = layout::xattr_key(inode.number, position);
    let Some(item) = items.get(key)? else { return Ok(()) };
    let header = codec::decode(&item)?;
    for number in 0..chunk_count(header.value_length) {
        items.delete(layout::xattr_chunk_key(inode.number, position, number))?;
    }
    inode.xattr_names = inode.xattr_names.saturating_sub(name_size(header.name));
    items.delete(key)
}

/// Removes all attributes of an inode.
pub(crate) fn delete_all(items: &mut dyn ItemsMut, inode: &mut Inode) -> Result<()> {
    let mut positions = Vec::new();
    if inode.xattr_names > 0 {
        let range = (layout::xattr_key(inode.number, 0), layout::xattr_key(inode.number, u64::MAX));
        items.scan(range.0, range.1, &mut |key, _| {
            positions.push(key.position);
            true
        })?;
    }
    positions.into_iter().try_for_each(|position| delete(items, inode, position))
}

/// Checks that an attribute can have this name.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || name.contains(&0) {
        Err(Error::new(ErrorKind::Invalid, "an extended attribute's name must not be empty nor have a NUL in it"))
    } else if name.len() > NAME_MAX {
        Err(ErrorKind::NameTooLong.into())
    } else if name.starts_with(b"system.") {
        // An access control list that is stored but not heeded would promise what is not kept.
        Err(ErrorKind::Unsupported.into())
    } else {
        Ok(())
    }
}

/// Whether the caller may know of an attribute of this name.
pub(crate) fn is_visible(caller: &Caller, name: &[u8]) -> bool {
    *caller == Caller::Superuser || !name.starts_with(b"trusted.")
}

/// Checks that the caller may get an attribute's value.
pub(crate) fn require_reading(inode: &Inode, caller: &Caller, name: &[u8]) -> Result<()> {
    if !is_visible(caller, name) {
        Err(ErrorKind::NotFound.into())
    } else if name.starts_with(b"trusted.") || name.starts_with(b"security.") {
        Ok(())
    } else {
        inode.require(caller, access::READ)
    }
}

/// Checks that the caller may set or remove an attribute.
pub(crate) fn require_writing(inode: &Inode, caller: &Caller, name: &[u8]) -> Result<()> {
    let privileged = name.starts_with(b"trusted.") || name.starts_with(b"security.");
    let user_kind = matches!(inode.kind, FileKind::Regular | FileKind::Directory);
    match caller {
        Caller::Superuser if privileged || user_kind => Ok(()),
        Caller::User(_) if !privileged && user_kind => inode.require(caller, access::WRITE),
        _ => Err(ErrorKind::Permission.into()),
    }
}
