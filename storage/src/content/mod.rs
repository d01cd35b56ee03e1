//! What a head has beyond its root: changed items, and the bytes of files as blocks.
//!
//! Invariants: a state is its root under at most two overlays, and a reader that keeps a [`Layers`]
//! keeps a state that later calls do not change, but for the open overlay, which each call changes at once.
//! A file's allocated bytes are exact at any moment: what the tree says plus what each overlay changed.

mod edit;
mod items;
mod layers;
mod overlay;
mod ranges;
#[cfg(test)]
mod tests;
mod view;
mod write_back;

use crate::format::InodeNumber;
use crate::tree::Key;

pub use edit::Edit;
pub use items::{Items, ItemsMut, VALUE_MAX};
pub use layers::Layers;
pub use overlay::Overlay;
pub use ranges::RangeSet;
pub use write_back::{WriteBack, WrittenBack, write_back};

/// The kind of the runs that hold a file's blocks: `fs` gives no other item this kind.
pub const RUN_KIND: u8 = 3;

/// The kind of the item that says how many bytes of whole blocks a file has: object its inode, position 0, the
/// value a `u64`; absent for 0. Only [`write_back()`] writes it: `fs` gives no other item this kind.
pub const ALLOCATED_KIND: u8 = 8;

/// One past the last byte that a file can have: a multiple of every block's length.
const DATA_END: u64 = 1 << 63;

/// Where it says how much a file has.
const fn allocated_key(inode: InodeNumber) -> Key {
    Key::new(inode.0, ALLOCATED_KIND, 0)
}
