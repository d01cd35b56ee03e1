//! Changed items and blocks over some lower state, in memory.
//!
//! Invariants: no block of a file is dirty and a hole at once; no dirty block is all zeros, for such a block is
//! a hole; what an overlay says of a file's allocated bytes is exact against the state below it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::content::RangeSet;
use crate::extent::PlainBlock;
use crate::format::InodeNumber;
use crate::sync::Mutex;
use crate::tree::Key;

/// What a map's entry takes beside the bytes that it owns.
pub(in crate::content) const ENTRY_LEN: u64 = 64;
/// Consecutive dirty blocks that are counted at once.
const SPAN_MAX: u64 = 1024;

/// Ranges of bytes by file.
pub(in crate::content) type FileRanges = BTreeMap<InodeNumber, RangeSet>;

/// What a state has beyond the state below it.
#[derive(Debug, Default)]
pub struct Overlay {
    items: BTreeMap<Key, Option<Vec<u8>>>,
    files: BTreeMap<InodeNumber, FileOverlay>,
    /// Written, but not logged yet. Behind a lock of its own, because the log makes progress while a frozen
    /// overlay is being read for long.
    unlogged: Mutex<FileRanges>,
    bytes: u64,
    allocated_change: i64,
}

/// What an overlay has of one file.
#[derive(Debug, Default)]
pub(in crate::content) struct FileOverlay {
    /// Whole dirty blocks by number.
    pub blocks: BTreeMap<u64, PlainBlock>,
    /// Numbers of blocks that are not there, whatever the state below has.
    pub holes: RangeSet,
    /// Bytes of blocks more than in the state below.
    pub allocated_change: i64,
}

/// What an overlay says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::content) enum Spot {
    /// It is dirty.
    Dirty,
    /// It is not there.
    Hole,
    /// Nothing: ask the state below.
    Below,
}

impl Overlay {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.files.is_empty() && self.unlogged.lock().is_empty()
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes of whole blocks all files together have more than in the state below.
    pub fn allocated_change(&self) -> i64 {
        self.allocated_change
    }

    /// What it says of an item; `Some(None)`: that it is gone.
    pub(in crate::content) fn item(&self, key: Key) -> Option<Option<&[u8]>> {
        self.items.get(&key).map(Option::as_deref)
    }

    /// Its items, and those that are gone, between two keys, both included.
    pub(in crate::content) fn items(&self, first: Key, last: Key) -> impl Iterator<Item = (Key, Option<&[u8]>)> {
        let range = (first <= last).then(|| self.items.range(first..=last));
        range.into_iter().flatten().map(|(key, value)| (*key, value.as_deref()))
    }

    /// Its files in order.
    pub(in crate::content) fn files(&self) -> impl Iterator<Item = (InodeNumber, &FileOverlay)> {
        self.files.iter().map(|(inode, file)| (*inode, file))
    }

    /// What it has of a file.
    pub(in crate::content) fn file(&self, inode: InodeNumber) -> Option<&FileOverlay> {
        self.files.get(&inode)
    }

    /// The ranges that are not logged.
    pub(in crate::content) fn unlogged(&self) -> &Mutex<FileRanges> {
        &self.unlogged
    }

    /// Sets an item, or that it is gone.
    pub(in crate::content) fn set_item(&mut self, key: Key, value: Option<Vec<u8>>) {
        let weight = |value: &Option<Vec<u8>>| ENTRY_LEN + value.as_ref().map_or(0, |value| value.len() as u64);
        self.bytes += weight(&value);
        if let Some(before) = self.items.insert(key, value) {
            self.bytes -= weight(&before);
        }
    }

    /// Changes what it has of a file.
    pub(in crate::content) fn change_file(&mut self, inode: InodeNumber, change: impl FnOnce(&mut FileOverlay)) {
        let file = self.files.entry(inode).or_insert_with(|| {
            self.bytes += 2 * ENTRY_LEN;
            FileOverlay::default()
        });
        let (bytes, allocated) = (file.bytes(), file.allocated_change);
        change(file);
        self.bytes = self.bytes + file.bytes() - bytes;
        self.allocated_change += file.allocated_change - allocated;
    }

    /// Takes over what `above` has, which lies over this.
    pub(in crate::content) fn absorb(&mut self, above: Self) {
        for (key, value) in above.items {
            self.set_item(key, value);
        }
        for (inode, from) in above.files {
            self.change_file(inode, |file| {
                from.holes.iter().for_each(|range| file.set_hole(range));
                from.blocks.into_iter().for_each(|(number, block)| file.set_block(number, block));
                file.allocated_change += from.allocated_change;
            });
        }
    }
}

impl FileOverlay {
    /// Sets a block, which is not all zeros.
    pub fn set_block(&mut self, number: u64, block: PlainBlock) {
        self.holes.remove(number..number + 1);
        self.blocks.insert(number, block);
    }

    /// Makes blocks a hole.
    pub fn set_hole(&mut self, range: Range<u64>) {
        let dirty: Vec<u64> = self.blocks.range(range.clone()).map(|(number, _)| *number).collect();
        dirty.iter().for_each(|number| drop(self.blocks.remove(number)));
        self.holes.insert(range);
    }

    /// What it says of a block, and up to where, exclusive, it says the same.
    pub fn span(&self, number: u64) -> (Spot, u64) {
        if self.holes.contains(number) {
            return (Spot::Hole, self.holes.next_gap(number));
        }
        let mut blocks = self.blocks.range(number..);
        let next = blocks.next().map_or(u64::MAX, |(next, _)| *next);
        if next > number {
            return (Spot::Below, next.min(self.holes.next_covered(number).unwrap_or(u64::MAX)));
        }
        let numbers = (number + 1..number + SPAN_MAX).zip(blocks);
        let more = numbers.take_while(|(expected, (found, _))| expected == *found).count() as u64;
        (Spot::Dirty, number + 1 + more)
    }

    fn bytes(&self) -> u64 {
        let block_len = self.blocks.first_key_value().map_or(0, |(_, block)| block.len() as u64);
        self.blocks.len() as u64 * (block_len + ENTRY_LEN) + self.holes.len() as u64 * ENTRY_LEN
    }
}
