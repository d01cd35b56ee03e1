//! One Merkle copy-on-write B+tree: read, edit, diff, walk. It does not know what its keys mean.
//!
//! Invariant: a node never changes once written. A root names a whole tree for as long as its nodes are
//! kept, and every edit makes another root.

mod apply;
mod beside;
mod buffer;
mod builder;
mod codec;
mod cursor;
mod diff;
mod edit;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod hash;
mod item;
mod key;
mod lost;
mod node;
mod reader;
mod store;
mod walk;

pub use apply::{Applied, BlockDelta, apply};
pub use beside::walk_beside;
pub use codec::NODE_SIZE;
pub use cursor::Cursor;
pub use diff::{Change, Content, diff};
pub use edit::Edit;
pub use item::{BlockPointer, Dead, ItemRef, RUN_BLOCKS_MAX, Run, RunRef, VALUE_MAX};
pub use key::Key;
pub use lost::for_each_lost;
pub use node::{Interior, Leaf, Node, NodePointer, Root};
pub use reader::Reader;
pub use store::{NodeStore, NodeWriter};
pub use walk::{Step, Visited, walk_all, walk_born_after, walk_born_after_past_damage};

#[cfg(test)]
mod tests;
