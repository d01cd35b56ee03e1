//! One call's changes of a head, collected aside and made at once.
//!
//! Invariant: nobody sees an edit before it is finished, nor anything of one that is dropped.

use std::ops::Range;

use crate::content::overlay::FileRanges;
use crate::content::view::{Block, Part, View};
use crate::content::{ALLOCATED_KIND, DATA_END, Items, ItemsMut, Layers, Overlay, RUN_KIND, VALUE_MAX};
use crate::error::{Error, ErrorKind, Result};
use crate::extent::PlainBlock;
use crate::format::InodeNumber;
use crate::tree::Key;

/// Reads a state with its own changes on top. At most one for a head at a time: its counts hold against the state
/// that it was begun on. After an error it is good only for being dropped.
#[derive(Debug)]
pub struct Edit<'a> {
    layers: &'a Layers,
    logged: bool,
    changes: Overlay,
    /// Ranges of bytes that no log record needs to repeat any more.
    settled: FileRanges,
}

impl<'a> Edit<'a> {
    /// Begins one. `logged` tells whether what it writes into files is promised with it, or only once its ranges
    /// ([`Layers::unlogged`]) are logged.
    pub fn new(layers: &'a Layers, logged: bool) -> Self {
        Self { layers, logged, changes: Overlay::default(), settled: FileRanges::new() }
    }

    /// How many bytes of whole blocks all files together have more than before it.
    pub fn allocated_change(&self) -> i64 {
        self.changes.allocated_change()
    }

    /// Makes the changes, all at once for those who read.
    pub fn finish(self) {
        let unlogged = std::mem::take(&mut *self.changes.unlogged().lock());
        self.layers.open().write().absorb(self.changes);
        self.layers.overlays().for_each(|overlay| settle(&overlay.read(), &self.settled));
        let open = self.layers.open().read();
        let mut files = open.unlogged().lock();
        for (inode, ranges) in unlogged {
            let file = files.entry(inode).or_default();
            ranges.iter().for_each(|range| file.insert(range));
        }
    }

    fn view(&self) -> View<'_> {
        View { layers: self.layers, edit: Some(&self.changes) }
    }

    fn block_len(&self) -> u64 {
        u64::from(self.layers.block_len())
    }

    /// A copy of a block to change.
    fn copy(&self, block: &Block) -> Result<PlainBlock> {
        let mut copy = None;
        match block {
            Block::Hole => copy = Some(PlainBlock::from(vec![0; self.layers.block_len() as usize])),
            Block::Dirty(bytes) => copy = Some(PlainBlock::from(&bytes[..])),
            Block::Stored(pointer) => {
                let read = &mut |_, bytes: &PlainBlock| copy = Some(PlainBlock::from(&bytes[..]));
                self.layers.store().read_blocks(std::slice::from_ref(pointer), self.layers.block_len(), read)?;
            }
        }
        Ok(copy.expect("a read without an error has found the block"))
    }

    /// Puts `bytes` in place of `before`.
    fn set_block(&mut self, inode: InodeNumber, number: u64, bytes: PlainBlock, before: &Block) {
        let was_there = !matches!(before, Block::Hole);
        let is_there = !is_zero(&bytes);
        let change = (i64::from(is_there) - i64::from(was_there)) * self.block_len() as i64;
        if is_there || was_there {
            self.changes.change_file(inode, |file| {
                file.allocated_change += change;
                match is_there {
                    true => file.set_block(number, bytes),
                    false => file.set_hole(number..number + 1),
                }
            });
        }
    }

    /// Makes bytes of one block zero, if it is there.
    fn zero(&mut self, inode: InodeNumber, range: Range<u64>) -> Result<()> {
        let number = range.start / self.block_len();
        let before = self.view().blocks(inode, number..number + 1)?.swap_remove(0);
        if matches!(before, Block::Hole) {
            return Ok(());
        }
        let mut bytes = self.copy(&before)?;
        let part = Part::of(range, number, self.block_len()).of_block;
        if !is_zero(&bytes[part.clone()]) {
            bytes.bytes_mut()[part].fill(0);
            self.set_block(inode, number, bytes, &before);
        }
        Ok(())
    }

    /// Makes whole blocks a hole.
    fn give_back(&mut self, inode: InodeNumber, numbers: Range<u64>) -> Result<()> {
        let gone = self.count(inode, &numbers)? * self.block_len();
        if gone == 0 {
            return Ok(());
        }
        self.changes.change_file(inode, |file| {
            file.allocated_change -= gone as i64;
            file.set_hole(numbers);
        });
        Ok(())
    }

    /// How many of these blocks are there. To the end of the file it is cheaper to count what stays, if that is
    /// less, and costs nothing if all goes.
    fn count(&self, inode: InodeNumber, numbers: &Range<u64>) -> Result<u64> {
        let view = self.view();
        if numbers.end == DATA_END / self.block_len() {
            let all = view.allocated(inode)? / self.block_len();
            if numbers.start <= all / 2 {
                let kept = view.count(inode, 0..numbers.start)?;
                return all.checked_sub(kept).ok_or_else(|| Error::from(ErrorKind::Corrupt));
            }
        }
        view.count(inode, numbers.clone())
    }

    /// Notes that the log knows what a range of bytes has now, or will not need to.
    fn settle(&mut self, inode: InodeNumber, range: Range<u64>) {
        if let Some(unlogged) = self.changes.unlogged().lock().get_mut(&inode) {
            unlogged.remove(range.clone());
        }
        self.settled.entry(inode).or_default().insert(range);
    }
}

impl Items for Edit<'_> {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>> {
        self.view().get(key)
    }

    fn scan(&self, first: Key, last: Key, found: &mut dyn FnMut(Key, &[u8]) -> bool) -> Result<()> {
        self.view().scan(first, last, found)
    }

    fn read(&self, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.view().read(inode, offset, buffer)
    }

    fn allocated(&self, inode: InodeNumber) -> Result<u64> {
        self.view().allocated(inode)
    }

    fn seek(&self, inode: InodeNumber, offset: u64, end: u64, data: bool) -> Result<Option<u64>> {
        self.view().seek(inode, offset, end, data)
    }
}

impl ItemsMut for Edit<'_> {
    fn put(&mut self, key: Key, value: Vec<u8>) -> Result<()> {
        assert!(key.kind != RUN_KIND && key.kind != ALLOCATED_KIND, "{key:?} is content's own");
        if value.len() > VALUE_MAX {
            return Err(Error::new(ErrorKind::Invalid, "an item is too large for a tree"));
        }
        self.changes.set_item(key, Some(value));
        Ok(())
    }

    fn delete(&mut self, key: Key) -> Result<()> {
        assert!(key.kind != RUN_KIND && key.kind != ALLOCATED_KIND, "{key:?} is content's own");
        self.changes.set_item(key, None);
        Ok(())
    }

    fn write(&mut self, inode: InodeNumber, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= DATA_END);
        let Some(end) = end else { return Err(ErrorKind::TooLarge.into()) };
        if bytes.is_empty() {
            return Ok(());
        }
        let first = offset / self.block_len();
        let present = self.view().blocks(inode, first..end.div_ceil(self.block_len()))?;
        for (number, before) in (first..).zip(present) {
            let part = Part::of(offset..end, number, self.block_len());
            let new = &bytes[part.of_range];
            let block = if new.len() as u64 == self.block_len() {
                PlainBlock::from(new)
            } else {
                let mut block = self.copy(&before)?;
                block.bytes_mut()[part.of_block].copy_from_slice(new);
                block
            };
            self.set_block(inode, number, block, &before);
        }
        if self.logged {
            self.settle(inode, offset..end);
        } else {
            self.changes.unlogged().lock().entry(inode).or_default().insert(offset..end);
        }
        Ok(())
    }

    fn punch(&mut self, inode: InodeNumber, first: u64, end: u64) -> Result<()> {
        let end = end.min(DATA_END);
        if first >= end {
            return Ok(());
        }
        let block_len = self.block_len();
        let whole = first.div_ceil(block_len)..end / block_len;
        if whole.start > whole.end {
            self.zero(inode, first..end)?;
        } else {
            if first < whole.start * block_len {
                self.zero(inode, first..whole.start * block_len)?;
            }
            if whole.end * block_len < end {
                self.zero(inode, whole.end * block_len..end)?;
            }
            if !whole.is_empty() {
                self.give_back(inode, whole)?;
            }
        }
        self.settle(inode, first..end);
        Ok(())
    }
}

/// Takes ranges from those that an overlay has to log. A file that has none left stays: see [`Layers::is_unlogged`].
fn settle(overlay: &Overlay, settled: &FileRanges) {
    let mut files = overlay.unlogged().lock();
    for (inode, ranges) in settled {
        if let Some(unlogged) = files.get_mut(inode) {
            ranges.iter().for_each(|range| unlogged.remove(range));
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| *chunk == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}
