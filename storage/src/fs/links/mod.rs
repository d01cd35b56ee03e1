//! Where the names of an inode are, so that a change of an inode leads to its paths.
//!
//! Invariant: [`Inode::home`] is the place of one name, and each further name has an item here. So what
//! has one name, as nearly all have, needs none.

mod codec;

pub(crate) use codec::{decode, encode};

use crate::content::{Items, ItemsMut};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Encoder, InodeNumber};
use crate::fs::layout::{self, NAME_HASH_BITS, ORDINAL_BITS};
use crate::fs::{Inode, NamePlace, directory};

/// Tests have names collide.
const HASH_MASK: u64 = if cfg!(test) { 3 } else { u64::MAX };
const ORDINALS: u64 = 1 << ORDINAL_BITS;

/// Adds a name to those of an inode that has one.
pub(crate) fn add(items: &mut dyn ItemsMut, inode: InodeNumber, place: NamePlace) -> Result<()> {
    let (_, free) = find(items, inode, place)?;
    items.put(layout::name_key(inode, free.ok_or_else(directory::full)?), encode(place))
}

/// Takes a name from an inode that has others.
pub(crate) fn remove(items: &mut dyn ItemsMut, inode: &mut Inode, place: NamePlace) -> Result<()> {
    let position = if inode.home == place {
        let other = first(items, inode.number)?;
        inode.home = other.1;
        other.0
    } else {
        find(items, inode.number, place)?.0.ok_or_else(unknown)?
    };
    items.delete(layout::name_key(inode.number, position))
}

/// Notes that a name is in another place.
pub(crate) fn replace(items: &mut dyn ItemsMut, inode: &mut Inode, from: NamePlace, to: NamePlace) -> Result<()> {
    if inode.home == from {
        inode.home = to;
        return Ok(());
    }
    remove(items, inode, from)?;
    add(items, inode.number, to)
}

/// The places of all names of an inode that is no orphan; none of the root.
pub(crate) fn all(items: &dyn Items, inode: &Inode) -> Result<Vec<NamePlace>> {
    let mut places = Vec::new();
    if inode.number != InodeNumber::ROOT {
        places.push(inode.home);
    }
    if inode.links > 1 && !inode.is_directory() {
        scan(items, inode.number, 0..=u64::MAX, &mut |_, place| {
            places.push(place);
            true
        })?;
    }
    Ok(places)
}

/// The further name that is stored first.
fn first(items: &dyn Items, inode: InodeNumber) -> Result<(u64, NamePlace)> {
    let mut found = None;
    scan(items, inode, 0..=u64::MAX, &mut |position, place| {
        found = Some((position, place));
        false
    })?;
    found.ok_or_else(unknown)
}

/// At which position the item of a name is, and at which one it could be.
fn find(items: &dyn Items, inode: InodeNumber, place: NamePlace) -> Result<(Option<u64>, Option<u64>)> {
    let first = (hash(place) & HASH_MASK) << ORDINAL_BITS;
    let last = first + (ORDINALS - 1);
    let (mut found, mut free) = (None, first);
    scan(items, inode, first..=last, &mut |position, other| {
        free += u64::from(position == free);
        found = found.or((other == place).then_some(position));
        true
    })?;
    Ok((found, (free <= last).then_some(free)))
}

fn scan(
    items: &dyn Items,
    inode: InodeNumber,
    positions: std::ops::RangeInclusive<u64>,
    found: &mut dyn FnMut(u64, NamePlace) -> bool,
) -> Result<()> {
    let mut problem = None;
    let (first, last) = (layout::name_key(inode, *positions.start()), layout::name_key(inode, *positions.end()));
    items.scan(first, last, &mut |key, value| match decode(value) {
        Ok(place) => found(key.position, place),
        Err(error) => {
            problem = Some(error);
            false
        }
    })?;
    problem.map_or(Ok(()), |error| Err(error.into()))
}

/// Spreads names, so that each is found without looking at the others.
pub(crate) fn hash(place: NamePlace) -> u64 {
    let mut bytes = Encoder::with_capacity(16);
    bytes.u64(place.directory.0).u64(place.position);
    let hash = blake3::hash(&bytes.bytes);
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes")) >> (64 - NAME_HASH_BITS)
}

fn unknown() -> Error {
    Error::new(ErrorKind::Corrupt, "an inode does not know of one of its names")
}
