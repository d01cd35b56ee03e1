//! Whether one file is like another, and how much of it is not.

use crate::content::{Items, RUN_KIND};
use crate::error::Result;
use crate::format::{BlockHash, InodeNumber};
use crate::fs::Inode;
use crate::fs::diff::{Comparison, Side};
use crate::fs::layout::{XATTR_CHUNK_KIND, XATTR_KIND};
use crate::tree::{Key, Reader};

/// Blocks looked at at once.
const BLOCKS_AT_ONCE: usize = 4096;

/// Blocks of a file by number, and up to which number, exclusive, that is all it has.
type Blocks = (Vec<(u64, BlockHash)>, u64);

impl Inode {
    /// Whether everything is equal that counts as an attribute when states are compared, beside what is in other items.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let always = |inode: &Self| (inode.kind, inode.mode, inode.uid, inode.gid, inode.device);
        // A directory's size and time follow from its names.
        let of_files = |inode: &Self| (!inode.is_directory()).then_some((inode.size, inode.modified));
        always(self) == always(other) && of_files(self) == of_files(other)
    }
}

impl Comparison<'_> {
    /// Whether a file of the old side differs from one of the new side, and in how many bytes of blocks.
    pub(super) fn compare(&self, old: InodeNumber, new: InodeNumber) -> Result<(bool, u64)> {
        let (one, other) = (Inode::load(&self.old, old)?, Inode::load(&self.new, new)?);
        let alike = one.looks_like(&other) && self.digest(Side::Old, old)? == self.digest(Side::New, new)?;
        let bytes = self.blocks_that_differ(old, new)? * u64::from(self.new.block_len());
        Ok((!alike || bytes > 0, bytes))
    }

    /// Tells extended attributes and the targets of symbolic links apart.
    fn digest(&self, side: Side, inode: InodeNumber) -> Result<blake3::Hash> {
        let (first, last) = (Key::new(inode.0, XATTR_KIND, 0), Key::new(inode.0, XATTR_CHUNK_KIND, u64::MAX));
        let mut hasher = blake3::Hasher::new();
        self.side(side).scan(first, last, &mut |key, value| {
            hasher.update(&key.encode()[8..]).update(&(value.len() as u64).to_le_bytes()).update(value);
            true
        })?;
        Ok(hasher.finalize())
    }

    fn blocks_that_differ(&self, old: InodeNumber, new: InodeNumber) -> Result<u64> {
        let (mut at, mut count) = (0, 0);
        loop {
            let (one, other) = (self.blocks(Side::Old, old, at)?, self.blocks(Side::New, new, at)?);
            let end = one.1.min(other.1);
            count += differing(&one.0, &other.0, end);
            if end == u64::MAX {
                return Ok(count);
            }
            at = end;
        }
    }

    fn blocks(&self, side: Side, inode: InodeNumber, first: u64) -> Result<Blocks> {
        let layers = self.side(side);
        let mut blocks = Vec::new();
        let mut end = u64::MAX;
        let reader = Reader::new(&**layers.store(), *layers.root());
        reader.runs(inode.0, RUN_KIND, first..u64::MAX, &mut |position, run| {
            blocks.extend((position..).zip(run.hashes.iter().copied()));
            if blocks.len() >= BLOCKS_AT_ONCE {
                end = position + run.hashes.len() as u64;
            }
            blocks.len() < BLOCKS_AT_ONCE
        })?;
        Ok((blocks, end))
    }
}

/// How many blocks with numbers below `end` are different or in one list only.
fn differing(one: &[(u64, BlockHash)], other: &[(u64, BlockHash)], end: u64) -> u64 {
    let below = |blocks: &[(u64, BlockHash)]| blocks.partition_point(|(number, _)| *number < end);
    let (one, other) = (&one[..below(one)], &other[..below(other)]);
    let mut count = 0;
    let mut others = other.iter().peekable();
    for (number, hash) in one {
        while others.next_if(|(before, _)| before < number).is_some() {
            count += 1;
        }
        let found = others.next_if(|(same, _)| same == number);
        count += u64::from(found.is_none_or(|(_, other)| other != hash));
    }
    count + others.count() as u64
}
