//! An inode's item: 109 bytes, little-endian. See `FORMAT.md`, "Inode item".
//!
//! Invariant: what [`decode`] accepts, [`encode`] gives back byte by byte.

use crate::format::{DecodeError, Decoder, Encoder, InodeNumber, Timestamp};
use crate::fs::layout::{ENTRY_HASH_BITS, ORDINAL_BITS, ORPHANS, XATTR_NAMES_MAX};
use crate::fs::{FILE_SIZE_MAX, FileKind, Inode, NamePlace};

const VERSION: u8 = 1;
const LENGTH: usize = 109;
/// The special field is an exclusive create's verifier.
const FLAG_EXCLUSIVE: u8 = 1;

pub(crate) fn encode(inode: &Inode) -> Vec<u8> {
    let (special, flags) = match inode.kind {
        FileKind::BlockDevice | FileKind::CharacterDevice => {
            (u64::from(inode.device.0) << 32 | u64::from(inode.device.1), 0)
        }
        _ => (inode.exclusive.unwrap_or(0), if inode.exclusive.is_some() { FLAG_EXCLUSIVE } else { 0 }),
    };
    let mut item = Encoder::with_capacity(LENGTH);
    item.u8(VERSION).u8(kind_code(inode.kind)).u16(inode.mode as u16);
    item.u32(inode.links).u32(inode.uid).u32(inode.gid);
    item.u64(inode.size).u64(inode.change).u64(special);
    item.u64(inode.home.directory.0).u64(inode.home.position);
    for time in [inode.accessed, inode.modified, inode.changed, inode.created] {
        put_time(&mut item, time);
    }
    item.u32(inode.xattr_names).u8(flags);
    assert_eq!(item.bytes.len(), LENGTH);
    item.bytes
}

pub(crate) fn decode(number: InodeNumber, item: &[u8]) -> Result<Inode, DecodeError> {
    let mut item = Decoder::new(item);
    check_version("inode", item.u8()?)?;
    let mut inode = Inode::new(number, kind_of(item.u8()?)?, Timestamp::default());
    inode.mode = u32::from(item.u16()?);
    inode.links = item.u32()?;
    inode.uid = item.u32()?;
    inode.gid = item.u32()?;
    inode.size = item.u64()?;
    inode.change = item.u64()?;
    let special = item.u64()?;
    inode.home = NamePlace { directory: InodeNumber(item.u64()?), position: item.u64()? };
    inode.accessed = take_time(&mut item)?;
    inode.modified = take_time(&mut item)?;
    inode.changed = take_time(&mut item)?;
    inode.created = take_time(&mut item)?;
    inode.xattr_names = item.u32()?;
    let flags = item.u8()?;
    set_special(&mut inode, special, flags)?;
    let sound = inode.mode <= 0o7777
        && inode.size <= FILE_SIZE_MAX
        && inode.change < u64::MAX
        && is_sound_place(inode.home)
        && inode.xattr_names <= XATTR_NAMES_MAX
        && item.rest().is_empty();
    if sound { Ok(inode) } else { Err(DecodeError::Field("inode")) }
}

fn set_special(inode: &mut Inode, special: u64, flags: u8) -> Result<(), DecodeError> {
    match (inode.kind, flags) {
        (FileKind::BlockDevice | FileKind::CharacterDevice, 0) => {
            inode.device = ((special >> 32) as u32, special as u32);
        }
        (FileKind::Regular, FLAG_EXCLUSIVE) => inode.exclusive = Some(special),
        (_, 0) if special == 0 => {}
        _ => return Err(DecodeError::Field("inode's flags")),
    }
    Ok(())
}

/// Whether a name could be there.
pub(crate) fn is_sound_place(place: NamePlace) -> bool {
    ![0, ORPHANS].contains(&place.directory.0) && place.position >> ORDINAL_BITS < 1 << ENTRY_HASH_BITS
}

pub(crate) fn check_version(structure: &'static str, found: u8) -> Result<(), DecodeError> {
    match found {
        VERSION => Ok(()),
        _ => Err(DecodeError::Version { structure, found: found.into(), known: VERSION.into() }),
    }
}

pub(crate) fn put_time(to: &mut Encoder, time: Timestamp) {
    assert!(time.nanoseconds < 1_000_000_000, "a time was accepted that does not exist");
    to.i64(time.seconds).u32(time.nanoseconds);
}

pub(crate) fn take_time(from: &mut Decoder<'_>) -> Result<Timestamp, DecodeError> {
    let time = Timestamp { seconds: from.i64()?, nanoseconds: from.u32()? };
    if time.nanoseconds < 1_000_000_000 { Ok(time) } else { Err(DecodeError::Field("nanoseconds")) }
}

/// The stored code of a kind of inode.
pub(crate) fn kind_code(kind: FileKind) -> u8 {
    match kind {
        FileKind::Regular => 1,
        FileKind::Directory => 2,
        FileKind::Symlink => 3,
        FileKind::BlockDevice => 4,
        FileKind::CharacterDevice => 5,
        FileKind::Fifo => 6,
        FileKind::Socket => 7,
    }
}

/// The kind with this stored code.
pub(crate) fn kind_of(code: u8) -> Result<FileKind, DecodeError> {
    Ok(match code {
        1 => FileKind::Regular,
        2 => FileKind::Directory,
        3 => FileKind::Symlink,
        4 => FileKind::BlockDevice,
        5 => FileKind::CharacterDevice,
        6 => FileKind::Fifo,
        7 => FileKind::Socket,
        _ => return Err(DecodeError::Field("kind")),
    })
}
