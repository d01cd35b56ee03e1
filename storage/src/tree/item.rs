//! What a leaf holds: bytes under a key, or a run of blocks under consecutive keys.
//!
//! Invariant: a run lies within one extent, so its first index and its length are at most
//! [`RUN_BLOCKS_MAX`] together, and none of its positions overflows.

use crate::extent::BLOCKS_MAX;
use crate::format::{Birth, BlockHash, SlotId};
use crate::tree::Key;

/// Longest value of an item, in bytes.
pub const VALUE_MAX: usize = 1024;

/// Most blocks in a run: as many as an extent has.
pub const RUN_BLOCKS_MAX: usize = BLOCKS_MAX;

/// Consecutive blocks of one extent, for a file's consecutive positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The extent.
    pub id: SlotId,
    /// Index of the run's first block within the extent.
    pub first: u8,
    /// The commit that the pointers were first written in.
    pub birth: Birth,
    /// One hash a block, 1 to [`RUN_BLOCKS_MAX`].
    pub hashes: Vec<BlockHash>,
}

impl Run {
    /// The same, borrowed.
    pub fn borrow(&self) -> RunRef<'_> {
        RunRef { id: self.id, first: self.first, birth: self.birth, hashes: &self.hashes }
    }
}

/// A run, or a part of one, inside a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRef<'a> {
    /// The extent.
    pub id: SlotId,
    /// Index of the first block within the extent.
    pub first: u8,
    /// The commit that the pointers were first written in.
    pub birth: Birth,
    /// One hash a block.
    pub hashes: &'a [BlockHash],
}

impl<'a> RunRef<'a> {
    /// The pointer to block `number` of the run.
    pub fn block(&self, number: usize) -> BlockPointer {
        let (id, birth) = (self.id, self.birth);
        BlockPointer { id, index: self.first + number as u8, birth, hash: self.hashes[number] }
    }

    /// Its blocks from number `first` on, `count` of them.
    #[must_use]
    pub fn part(&self, first: usize, count: usize) -> Self {
        Self { first: self.first + first as u8, hashes: &self.hashes[first..first + count], ..*self }
    }

    /// The same, owned.
    pub fn to_run(&self) -> Run {
        Run { id: self.id, first: self.first, birth: self.birth, hashes: self.hashes.to_vec() }
    }

    /// All of its pointers, as they are reported when nothing reaches them any more.
    pub fn dead(&self) -> Dead {
        Dead { id: self.id, first: self.first, count: self.hashes.len() as u8, birth: self.birth, is_node: false }
    }

    /// Whether `next`, at the positions after this run's, could be part of it.
    pub fn continues_with(&self, next: &RunRef<'_>) -> bool {
        self.id == next.id
            && self.birth == next.birth
            && usize::from(self.first) + self.hashes.len() == usize::from(next.first)
    }
}

/// Where one block is, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPointer {
    /// The extent.
    pub id: SlotId,
    /// Index of the block within the extent.
    pub index: u8,
    /// The commit that the pointer was first written in.
    pub birth: Birth,
    /// The hash of the block's plain bytes.
    pub hash: BlockHash,
}

/// One item of a leaf, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemRef<'a> {
    /// A value, at most [`VALUE_MAX`] bytes.
    Bytes(&'a [u8]),
    /// Blocks, for the item's key and those after it.
    Run(RunRef<'a>),
}

impl<'a> ItemRef<'a> {
    /// How many consecutive positions the item covers.
    pub fn positions(&self) -> u64 {
        match self {
            Self::Bytes(_) => 1,
            Self::Run(run) => run.hashes.len() as u64,
        }
    }

    /// The last key that the item covers, where `key` is its first.
    pub fn last_key(&self, key: Key) -> Key {
        key.plus(self.positions() - 1)
    }

    /// The part of the item (whose key is `key`) that lies between `first` and `last`, both included.
    pub fn clip(self, key: Key, first: Key, last: Key) -> Option<(Key, Self)> {
        let (from, to) = (key.max(first), self.last_key(key).min(last));
        if from > to {
            return None;
        }
        // Both ends lie between two keys of the item, so they differ from its key in position only.
        Some((
            from,
            match self {
                Self::Bytes(_) => self,
                Self::Run(run) => {
                    let count = (to.position - from.position + 1) as usize;
                    Self::Run(run.part((from.position - key.position) as usize, count))
                }
            },
        ))
    }
}

/// Pointers to one node, or to consecutive blocks of one extent, that a root reached and another does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dead {
    /// The node or extent.
    pub id: SlotId,
    /// Index of the first block; 0 for a node.
    pub first: u8,
    /// Number of blocks; 1 for a node.
    pub count: u8,
    /// The commit that the pointers were first written in.
    pub birth: Birth,
    /// Whether this is a node.
    pub is_node: bool,
}
