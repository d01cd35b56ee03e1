//! Which item of the tree holds what, and the bounds that the layout sets.
//!
//! Invariant: an object number is an inode's, or [`ORPHANS`]; kinds [`RUN_KIND`] and
//! [`ALLOCATED_KIND`] are content's, and no item here has them.

use crate::content::{ALLOCATED_KIND, RUN_KIND, VALUE_MAX};
use crate::format::InodeNumber;
use crate::tree::Key;

/// An inode; position 0.
pub const INODE_KIND: u8 = 1;
/// A directory's entry; its position is its cookie.
pub const ENTRY_KIND: u8 = 2;
/// An extended attribute: its name and the start of its value.
pub const XATTR_KIND: u8 = 4;
/// A part of a symbolic link's target; positions count from 0.
pub const TARGET_KIND: u8 = 5;
/// An inode without names that waits to be reaped; object [`ORPHANS`], position its number.
pub const ORPHAN_KIND: u8 = 6;
/// A further part of an extended attribute's value.
pub const XATTR_CHUNK_KIND: u8 = 7;
/// Where a further name of an inode is, beside the one that the inode tells.
pub const NAME_KIND: u8 = 9;

/// The object that orphan items belong to. No inode has this number.
pub const ORPHANS: u64 = u64::MAX;
/// One past the last byte that a file can have: a multiple of every block size.
pub const DATA_END: u64 = 1 << 63;
/// What one entry adds to its directory's size, in bytes.
pub const ENTRY_SIZE: u64 = 32;
/// Low bits of an entry's, xattr's or name's position, which tell names of one hash apart.
pub const ORDINAL_BITS: u32 = 6;
/// Bits of a name's hash in an entry's position.
pub const ENTRY_HASH_BITS: u32 = 56;
/// Bits of a name's hash in an xattr's position.
pub const XATTR_HASH_BITS: u32 = 48;
/// Bits of a place's hash in a name's position.
pub const NAME_HASH_BITS: u32 = 58;
/// Low bits of an xattr chunk's position, which count the chunks.
pub const XATTR_CHUNK_BITS: u32 = 8;
/// Bytes of a chunk of an xattr's value or of a symbolic link's target.
pub const CHUNK_LENGTH: usize = VALUE_MAX;
/// Bytes of an xattr's value beside its name; the rest is in chunks.
pub const XATTR_INLINE_LENGTH: usize = 512;
/// Longest value of an extended attribute, in bytes.
pub const XATTR_VALUE_MAX: usize = 64 << 10;
/// Most bytes that the names of one inode's extended attributes may have, each with one byte more.
pub const XATTR_NAMES_MAX: u32 = 64 << 10;
/// Files with more allocated bytes are erased in steps, after they became orphans.
pub const ERASE_AT_ONCE_MAX: u64 = 1 << 20;

const _: () = assert!(ENTRY_HASH_BITS + ORDINAL_BITS < 63, "a cookie must be below 2^63");
const _: () = assert!(XATTR_HASH_BITS + ORDINAL_BITS + XATTR_CHUNK_BITS <= 64);
const _: () = assert!(NAME_HASH_BITS + ORDINAL_BITS <= 64);
const _: () = assert!((XATTR_VALUE_MAX - XATTR_INLINE_LENGTH).div_ceil(CHUNK_LENGTH) <= 1 << XATTR_CHUNK_BITS);
const KINDS: [u8; 7] = [INODE_KIND, ENTRY_KIND, XATTR_KIND, TARGET_KIND, ORPHAN_KIND, XATTR_CHUNK_KIND, NAME_KIND];
const _: () = {
    let mut index = 0;
    while index < KINDS.len() {
        assert!(KINDS[index] != RUN_KIND && KINDS[index] != ALLOCATED_KIND, "content's kinds are its own");
        index += 1;
    }
};

/// Where an inode is.
pub const fn inode_key(inode: InodeNumber) -> Key {
    Key::new(inode.0, INODE_KIND, 0)
}

/// Where a directory's entry is.
pub const fn entry_key(directory: InodeNumber, position: u64) -> Key {
    Key::new(directory.0, ENTRY_KIND, position)
}

/// Where an extended attribute is.
pub const fn xattr_key(inode: InodeNumber, position: u64) -> Key {
    Key::new(inode.0, XATTR_KIND, position)
}

/// Where part `chunk` of an extended attribute's value is.
pub const fn xattr_chunk_key(inode: InodeNumber, position: u64, chunk: u64) -> Key {
    Key::new(inode.0, XATTR_CHUNK_KIND, position << XATTR_CHUNK_BITS | chunk)
}

/// Where part `chunk` of a symbolic link's target is.
pub const fn target_key(inode: InodeNumber, chunk: u64) -> Key {
    Key::new(inode.0, TARGET_KIND, chunk)
}

/// Where it says where a further name of an inode is.
pub const fn name_key(inode: InodeNumber, position: u64) -> Key {
    Key::new(inode.0, NAME_KIND, position)
}

/// Where it says that an inode is an orphan.
pub const fn orphan_key(inode: InodeNumber) -> Key {
    Key::new(ORPHANS, ORPHAN_KIND, inode.0)
}
