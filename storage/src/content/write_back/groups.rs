//! Which blocks become one extent.
//!
//! Invariant: a group has at most as many blocks as an extent may. Consecutive blocks of a file that fill an
//! extent have one of their own; what remains, as a small file or a tail, is not cut, but packed with its neighbours.

use crate::extent::{BLOCKS_MAX, PLAIN_LEN_MAX, PlainBlock};
use crate::format::{Checksum, InodeNumber};

/// A block to be written.
#[derive(Clone, Debug)]
pub(in crate::content::write_back) struct Dirty {
    pub inode: InodeNumber,
    /// Its number in the file.
    pub number: u64,
    pub plain: PlainBlock,
    pub hash: Checksum,
}

impl Dirty {
    /// Whether `next` is the next block of the same file.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        self.inode == next.inode && self.number + 1 == next.number
    }
}

/// Groups blocks that come ordered by file and number.
pub(in crate::content::write_back) struct Groups {
    blocks_max: usize,
    full: Vec<Vec<Dirty>>,
    /// Consecutive blocks, fewer than an extent has.
    piece: Vec<Dirty>,
    /// Ends of pieces.
    pack: Vec<Dirty>,
}

impl Groups {
    pub fn new(block_len: u32, extent_len: u32) -> Self {
        let blocks_max = (extent_len as usize).min(PLAIN_LEN_MAX) / block_len as usize;
        Self { blocks_max: blocks_max.clamp(1, BLOCKS_MAX), full: Vec::new(), piece: Vec::new(), pack: Vec::new() }
    }

    /// Takes the next block.
    pub fn push(&mut self, dirty: Dirty) {
        if self.piece.last().is_some_and(|last| !last.is_followed_by(&dirty)) {
            self.end_piece();
        }
        self.piece.push(dirty);
        if self.piece.len() == self.blocks_max {
            self.full.push(std::mem::take(&mut self.piece));
        }
    }

    /// The groups that are complete.
    pub fn take_full(&mut self) -> Vec<Vec<Dirty>> {
        std::mem::take(&mut self.full)
    }

    /// All groups that were not taken yet.
    pub fn finish(mut self) -> Vec<Vec<Dirty>> {
        self.end_piece();
        self.end_pack();
        self.full
    }

    fn end_piece(&mut self) {
        if self.pack.len() + self.piece.len() > self.blocks_max {
            self.end_pack();
        }
        self.pack.append(&mut self.piece);
    }

    fn end_pack(&mut self) {
        if !self.pack.is_empty() {
            self.full.push(std::mem::take(&mut self.pack));
        }
    }
}
