//! A record's bytes: version, tag, the fields in the order of their declaration, and the bulk to the end.
//! See `FORMAT.md`, "File system record".
//!
//! Invariant: what [`Record::decode`] accepts is within the bounds that plans keep, and
//! [`Record::encode`] gives it back byte by byte.

use crate::format::{DecodeError, Decoder, Encoder, InodeNumber};
use crate::fs::inode::{self, check_version, put_time, take_time};
use crate::fs::layout::{DATA_END, ENTRY_HASH_BITS, ORDINAL_BITS, ORPHANS, XATTR_HASH_BITS, XATTR_VALUE_MAX};
use crate::fs::{Encoded, FILE_SIZE_MAX, Fate, FileKind, NAME_MAX, NamePlace, Record, SYMLINK_MAX, Settings};

type Result<T> = std::result::Result<T, DecodeError>;

const VERSION: u8 = 1;
const WRITE: u8 = 1;
const SET_ATTRIBUTES: u8 = 2;
const CREATE: u8 = 3;
const LINK: u8 = 4;
const REMOVE: u8 = 5;
const RENAME: u8 = 6;
const PUNCH: u8 = 7;
const SET_XATTR: u8 = 8;
const REMOVE_XATTR: u8 = 9;
const REAP: u8 = 10;

impl<'a> Record<'a> {
    /// The record's bytes.
    pub fn encode(&self) -> Encoded<'a> {
        let mut head = Encoder::with_capacity(128);
        head.u8(VERSION);
        let tail = self.put(&mut head);
        Encoded { head: head.bytes, tail }
    }

    fn put(&self, to: &mut Encoder) -> &'a [u8] {
        match *self {
            Self::Write { inode, offset, bytes, modified, changed, clear_setid } => {
                to.u8(WRITE).u64(inode.0).u64(offset);
                put_time(to, modified);
                put_time(to, changed);
                to.u8(clear_setid.into());
                return bytes;
            }
            Self::SetXattr { inode, position, name, value, now } => {
                to.u8(SET_XATTR).u64(inode.0).u64(position).counted(name);
                put_time(to, now);
                return value;
            }
            Self::SetAttributes { inode, ref set, now } => {
                to.u8(SET_ATTRIBUTES).u64(inode.0);
                put_settings(to, set);
                put_time(to, now);
            }
            Self::Punch { inode, first, end, clear_setid, now } => {
                to.u8(PUNCH).u64(inode.0).u64(first).u64(end).u8(clear_setid.into());
                put_time(to, now);
            }
            Self::RemoveXattr { inode, position, now } => {
                to.u8(REMOVE_XATTR).u64(inode.0).u64(position);
                put_time(to, now);
            }
            Self::Reap { inode, first, end, last } => {
                to.u8(REAP).u64(inode.0).u64(first).u64(end).u8(last.into());
            }
            _ => self.put_name_change(to),
        }
        &[]
    }

    fn put_name_change(&self, to: &mut Encoder) {
        let now = match *self {
            Self::Create { directory, position, name, ref inode, target, now } => {
                to.u8(CREATE).u64(directory.0).u64(position).counted(name);
                to.u64(inode.number.0).counted(&inode::encode(inode)).counted(target);
                now
            }
            Self::Link { inode, directory, position, name, now } => {
                to.u8(LINK).u64(inode.0).u64(directory.0).u64(position).counted(name);
                now
            }
            Self::Remove { directory, position, inode, fate, now } => {
                to.u8(REMOVE).u64(directory.0).u64(position).u64(inode.0).u8(fate_code(fate));
                now
            }
            Self::Rename { from_directory, from_position, to_directory, to_position, name, replaced, now } => {
                to.u8(RENAME).u64(from_directory.0).u64(from_position);
                to.u64(to_directory.0).u64(to_position).counted(name).u8(replaced.is_some().into());
                if let Some((inode, fate)) = replaced {
                    to.u64(inode.0).u8(fate_code(fate));
                }
                now
            }
            _ => unreachable!("the other records are no changes of names"),
        };
        put_time(to, now);
    }

    /// Reads back what [`Self::encode`] wrote.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut from = Decoder::new(bytes);
        check_version("file system record", from.u8()?)?;
        let record = match from.u8()? {
            WRITE => return take_write(&mut from),
            SET_XATTR => return take_set_xattr(&mut from),
            SET_ATTRIBUTES => {
                let (inode, set) = (take_inode(&mut from)?, take_settings(&mut from)?);
                Self::SetAttributes { inode, set, now: take_time(&mut from)? }
            }
            CREATE => take_create(&mut from)?,
            LINK => Self::Link {
                inode: take_inode(&mut from)?,
                directory: take_inode(&mut from)?,
                position: take_entry_position(&mut from)?,
                name: take_name(&mut from)?,
                now: take_time(&mut from)?,
            },
            REMOVE => Self::Remove {
                directory: take_inode(&mut from)?,
                position: take_entry_position(&mut from)?,
                inode: take_inode(&mut from)?,
                fate: take_fate(&mut from)?,
                now: take_time(&mut from)?,
            },
            RENAME => take_rename(&mut from)?,
            PUNCH => {
                let (inode, (first, end)) = (take_inode(&mut from)?, take_range(&mut from)?);
                Self::Punch { inode, first, end, clear_setid: take_bool(&mut from)?, now: take_time(&mut from)? }
            }
            REMOVE_XATTR => Self::RemoveXattr {
                inode: take_inode(&mut from)?,
                position: take_xattr_position(&mut from)?,
                now: take_time(&mut from)?,
            },
            REAP => {
                let (inode, (first, end)) = (take_inode(&mut from)?, take_range(&mut from)?);
                Self::Reap { inode, first, end, last: take_bool(&mut from)? }
            }
            _ => return Err(DecodeError::Field("record's tag")),
        };
        if from.rest().is_empty() { Ok(record) } else { Err(DecodeError::Field("record's length")) }
    }
}

fn take_write<'a>(from: &mut Decoder<'a>) -> Result<Record<'a>> {
    let (inode, offset) = (take_inode(from)?, from.u64()?);
    let (modified, changed) = (take_time(from)?, take_time(from)?);
    let (clear_setid, bytes) = (take_bool(from)?, from.rest());
    match offset.checked_add(bytes.len() as u64) {
        Some(end) if end <= FILE_SIZE_MAX => Ok(Record::Write { inode, offset, bytes, modified, changed, clear_setid }),
        _ => Err(DecodeError::Field("write's range")),
    }
}

fn take_set_xattr<'a>(from: &mut Decoder<'a>) -> Result<Record<'a>> {
    let (inode, position) = (take_inode(from)?, take_xattr_position(from)?);
    let (name, now) = (take_bounded(from, NAME_MAX)?, take_time(from)?);
    let value = from.rest();
    if name.is_empty() || value.len() > XATTR_VALUE_MAX {
        return Err(DecodeError::Field("extended attribute"));
    }
    Ok(Record::SetXattr { inode, position, name, value, now })
}

fn take_create<'a>(from: &mut Decoder<'a>) -> Result<Record<'a>> {
    let (directory, position) = (take_inode(from)?, take_entry_position(from)?);
    let (name, number) = (take_name(from)?, take_inode(from)?);
    let inode = inode::decode(number, from.counted()?)?;
    let target = take_bounded(from, SYMLINK_MAX)?;
    if (inode.kind == FileKind::Symlink && target.len() as u64 != inode.size)
        || (inode.kind != FileKind::Symlink && !target.is_empty())
    {
        return Err(DecodeError::Field("target"));
    }
    if inode.home != (NamePlace { directory, position }) {
        return Err(DecodeError::Field("home"));
    }
    Ok(Record::Create { directory, position, name, inode, target, now: take_time(from)? })
}

fn take_rename<'a>(from: &mut Decoder<'a>) -> Result<Record<'a>> {
    let (from_directory, from_position) = (take_inode(from)?, take_entry_position(from)?);
    let (to_directory, to_position) = (take_inode(from)?, take_entry_position(from)?);
    let name = take_name(from)?;
    let replaced = if take_bool(from)? { Some((take_inode(from)?, take_fate(from)?)) } else { None };
    let now = take_time(from)?;
    Ok(Record::Rename { from_directory, from_position, to_directory, to_position, name, replaced, now })
}

fn put_settings(to: &mut Encoder, set: &Settings) {
    let present = [
        set.mode.is_some(),
        set.uid.is_some(),
        set.gid.is_some(),
        set.size.is_some(),
        set.accessed.is_some(),
        set.modified.is_some(),
        set.created.is_some(),
    ];
    to.u8(present.iter().rev().fold(0, |bits, &bit| bits << 1 | u8::from(bit)));
    for word in [set.mode, set.uid, set.gid].into_iter().flatten() {
        to.u32(word);
    }
    if let Some(size) = set.size {
        to.u64(size);
    }
    for time in [set.accessed, set.modified, set.created].into_iter().flatten() {
        put_time(to, time);
    }
}

fn take_settings(from: &mut Decoder<'_>) -> Result<Settings> {
    let present = from.u8()?;
    let has = |bit: u32| present >> bit & 1 == 1;
    let set = Settings {
        mode: has(0).then(|| from.u32()).transpose()?,
        uid: has(1).then(|| from.u32()).transpose()?,
        gid: has(2).then(|| from.u32()).transpose()?,
        size: has(3).then(|| from.u64()).transpose()?,
        accessed: has(4).then(|| take_time(from)).transpose()?,
        modified: has(5).then(|| take_time(from)).transpose()?,
        created: has(6).then(|| take_time(from)).transpose()?,
    };
    let sound = !has(7) && set.mode.is_none_or(|mode| mode <= 0o7777) && set.size.is_none_or(|s| s <= FILE_SIZE_MAX);
    if sound { Ok(set) } else { Err(DecodeError::Field("attributes")) }
}

fn fate_code(fate: Fate) -> u8 {
    match fate {
        Fate::Keep => 0,
        Fate::Orphan => 1,
        Fate::Erase => 2,
    }
}

fn take_fate(from: &mut Decoder<'_>) -> Result<Fate> {
    match from.u8()? {
        0 => Ok(Fate::Keep),
        1 => Ok(Fate::Orphan),
        2 => Ok(Fate::Erase),
        _ => Err(DecodeError::Field("fate")),
    }
}

fn take_bool(from: &mut Decoder<'_>) -> Result<bool> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Field("flag")),
    }
}

fn take_inode(from: &mut Decoder<'_>) -> Result<InodeNumber> {
    match from.u64()? {
        0 | ORPHANS => Err(DecodeError::Field("inode number")),
        number => Ok(InodeNumber(number)),
    }
}

fn take_range(from: &mut Decoder<'_>) -> Result<(u64, u64)> {
    let (first, end) = (from.u64()?, from.u64()?);
    if first <= end && end <= DATA_END { Ok((first, end)) } else { Err(DecodeError::Field("range")) }
}

fn take_entry_position(from: &mut Decoder<'_>) -> Result<u64> {
    take_position(from, ENTRY_HASH_BITS)
}

fn take_xattr_position(from: &mut Decoder<'_>) -> Result<u64> {
    take_position(from, XATTR_HASH_BITS)
}

fn take_position(from: &mut Decoder<'_>, hash_bits: u32) -> Result<u64> {
    let position = from.u64()?;
    let hash = position >> ORDINAL_BITS;
    if hash > 0 && hash < 1 << hash_bits { Ok(position) } else { Err(DecodeError::Field("position")) }
}

fn take_name<'a>(from: &mut Decoder<'a>) -> Result<&'a [u8]> {
    let name = take_bounded(from, NAME_MAX)?;
    if name.is_empty() { Err(DecodeError::Field("name")) } else { Ok(name) }
}

fn take_bounded<'a>(from: &mut Decoder<'a>, length_max: usize) -> Result<&'a [u8]> {
    let bytes = from.counted()?;
    if bytes.len() <= length_max { Ok(bytes) } else { Err(DecodeError::Field("length")) }
}
