//! Reads a state through its layers: an edit's own changes, the overlays, the tree.
//!
//! Invariant: a lock is held to pick items or blocks out of an overlay, and never while a node or an
//! extent is read.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::content::overlay::Spot;
use crate::content::{ALLOCATED_KIND, DATA_END, Layers, Overlay, RUN_KIND, allocated_key};
use crate::error::{Error, ErrorKind, Result};
use crate::extent::PlainBlock;
use crate::format::InodeNumber;
use crate::tree::{BlockPointer, ItemRef, Key, Reader};

/// Items picked from each overlay at once.
const ITEMS_AT_ONCE: usize = 256;

/// Layers, and perhaps an edit's changes over them.
#[derive(Clone, Copy)]
pub(in crate::content) struct View<'a> {
    pub layers: &'a Layers,
    pub edit: Option<&'a Overlay>,
}

/// One block of a file, as a state has it.
#[derive(Clone, Debug)]
pub(in crate::content) enum Block {
    /// It is not there: zeros.
    Hole,
    /// In memory.
    Dirty(PlainBlock),
    /// On the disk.
    Stored(BlockPointer),
}

impl View<'_> {
    /// Calls `look` with the overlays, the uppermost first, until it returns something.
    fn find<T>(&self, mut look: impl FnMut(&Overlay) -> Option<T>) -> Option<T> {
        let edited = self.edit.and_then(&mut look);
        edited.or_else(|| self.layers.overlays().find_map(|overlay| look(&overlay.read())))
    }

    fn tree(&self) -> Reader<'_> {
        Reader::new(&**self.layers.store(), *self.layers.root())
    }

    fn block_len(&self) -> u64 {
        u64::from(self.layers.block_len())
    }

    /// An item's value.
    pub fn get(&self, key: Key) -> Result<Option<Vec<u8>>> {
        match self.find(|overlay| overlay.item(key).map(|value| value.map(<[u8]>::to_vec))) {
            Some(value) => Ok(value),
            None => self.tree().get(key),
        }
    }

    /// Calls `found` with the items between two keys, both included, in order, until it returns false.
    pub fn scan(&self, first: Key, last: Key, found: &mut dyn FnMut(Key, &[u8]) -> bool) -> Result<()> {
        let mut next = Some(first).filter(|first| *first <= last);
        while let Some(first) = next {
            let (changed, until) = self.changed_items(first, last);
            if !self.merge(changed, first, until, found)? {
                return Ok(());
            }
            next = if until < last { successor(until) } else { None };
        }
        Ok(())
    }

    /// What the overlays have from `first` on, and the key up to which, included, that is all they have.
    fn changed_items(&self, first: Key, last: Key) -> (BTreeMap<Key, Option<Vec<u8>>>, Key) {
        let (mut changed, mut until) = (BTreeMap::new(), last);
        self.find(|overlay| -> Option<()> {
            let mut picked = 0;
            for (key, value) in overlay.items(first, until).take(ITEMS_AT_ONCE) {
                changed.entry(key).or_insert_with(|| value.map(<[u8]>::to_vec));
                picked += 1;
                if picked == ITEMS_AT_ONCE {
                    until = key;
                }
            }
            None
        });
        changed.retain(|key, _| *key <= until);
        (changed, until)
    }

    /// Calls `found` with the tree's items, those of `changed` in their place. Returns whether to go on.
    fn merge(
        &self,
        changed: BTreeMap<Key, Option<Vec<u8>>>,
        first: Key,
        last: Key,
        found: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<bool> {
        let mut changed = changed.into_iter().peekable();
        let mut go_on = true;
        self.tree().scan(first, last, &mut |key, item| {
            let ItemRef::Bytes(stored) = item else { return true };
            if key.kind == ALLOCATED_KIND {
                return true;
            }
            while let Some((before, value)) = changed.next_if(|(changed, _)| *changed < key) {
                go_on = go_on && value.is_none_or(|value| found(before, &value));
            }
            match changed.next_if(|(changed, _)| *changed == key) {
                Some((_, value)) => go_on = go_on && value.is_none_or(|value| found(key, &value)),
                None => go_on = go_on && found(key, stored),
            }
            go_on
        })?;
        for (key, value) in changed {
            go_on = go_on && value.is_none_or(|value| found(key, &value));
        }
        Ok(go_on)
    }

    /// Bytes of the whole blocks that a file has.
    pub fn allocated(&self, inode: InodeNumber) -> Result<u64> {
        let mut change = 0;
        self.find(|overlay| -> Option<()> {
            change += overlay.file(inode).map_or(0, |file| file.allocated_change);
            None
        });
        add_allocated(self.tree().get(allocated_key(inode))?, change)
    }

    /// The blocks of a file with these numbers.
    pub fn blocks(&self, inode: InodeNumber, numbers: Range<u64>) -> Result<Vec<Block>> {
        let mut blocks: Vec<Option<Block>> = vec![None; (numbers.end - numbers.start) as usize];
        let place = |number: u64| (number - numbers.start) as usize;
        self.find(|overlay| -> Option<()> {
            let file = overlay.file(inode)?;
            for (number, bytes) in file.blocks.range(numbers.clone()) {
                blocks[place(*number)].get_or_insert_with(|| Block::Dirty(bytes.clone()));
            }
            for number in file.holes.within(numbers.clone()).flatten() {
                blocks[place(number)].get_or_insert(Block::Hole);
            }
            None
        });
        let Some(first) = blocks.iter().position(Option::is_none) else { return Ok(flatten(blocks)) };
        let last = blocks.iter().rposition(Option::is_none).unwrap_or(first);
        let stored = numbers.start + first as u64..numbers.start + last as u64 + 1;
        self.tree().runs(inode.0, RUN_KIND, stored, &mut |position, run| {
            for number in 0..run.hashes.len() {
                blocks[place(position) + number].get_or_insert_with(|| Block::Stored(run.block(number)));
            }
            true
        })?;
        Ok(flatten(blocks))
    }

    /// Fills `buffer` from a file's bytes.
    pub fn read(&self, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(buffer.len() as u64).min(DATA_END);
        if offset >= end {
            buffer.fill(0);
            return Ok(());
        }
        let (within, beyond) = buffer.split_at_mut((end - offset) as usize);
        beyond.fill(0);
        let first = offset / self.block_len();
        let blocks = self.blocks(inode, first..end.div_ceil(self.block_len()))?;
        let mut stored: (Vec<u64>, Vec<BlockPointer>) = Default::default();
        for (number, block) in (first..).zip(blocks) {
            let part = Part::of(offset..end, number, self.block_len());
            match block {
                Block::Hole => within[part.of_range].fill(0),
                Block::Dirty(bytes) => within[part.of_range].copy_from_slice(&bytes[part.of_block]),
                Block::Stored(pointer) => {
                    stored.0.push(number);
                    stored.1.push(pointer);
                }
            }
        }
        self.layers.store().read_blocks(&stored.1, self.layers.block_len(), &mut |which, bytes| {
            let part = Part::of(offset..end, stored.0[which], self.block_len());
            within[part.of_range].copy_from_slice(&bytes[part.of_block]);
        })
    }

    /// Has the cache filled with what a range of a file's bytes has on the disk. Returns whether anything was missing there.
    pub fn fetch_ahead(&self, inode: InodeNumber, range: Range<u64>) -> Result<bool> {
        let end = range.end.min(DATA_END);
        let blocks = self.blocks(inode, range.start.min(end) / self.block_len()..end.div_ceil(self.block_len()))?;
        let stored = blocks.into_iter().filter_map(|block| match block {
            Block::Stored(pointer) => Some(pointer),
            Block::Hole | Block::Dirty(_) => None,
        });
        Ok(self.layers.store().fetch_ahead(&stored.collect::<Vec<_>>(), self.layers.block_len()))
    }

    /// The first offset at or after `offset`, and below `end`, that lies in a block that is there (`data`) or not.
    pub fn seek(&self, inode: InodeNumber, offset: u64, end: u64, data: bool) -> Result<Option<u64>> {
        let block_len = self.block_len();
        let blocks = offset.min(DATA_END) / block_len..end.min(DATA_END).div_ceil(block_len);
        let found = self.find_block(inode, blocks, data)?.map(|number| (number * block_len).max(offset));
        Ok(match found {
            // No file has bytes there.
            None if !data => Some(offset.max(DATA_END)),
            found => found,
        }
        .filter(|at| *at < end))
    }

    fn find_block(&self, inode: InodeNumber, numbers: Range<u64>, data: bool) -> Result<Option<u64>> {
        let mut at = numbers.start;
        while at < numbers.end {
            let (spot, until) = self.span(inode, at);
            let until = until.min(numbers.end);
            match spot {
                Spot::Dirty if data => return Ok(Some(at)),
                Spot::Hole if !data => return Ok(Some(at)),
                Spot::Dirty | Spot::Hole => {}
                Spot::Below => {
                    if let Some(found) = self.find_stored(inode, at..until, data)? {
                        return Ok(Some(found));
                    }
                }
            }
            at = until;
        }
        Ok(None)
    }

    /// The first block that the tree has (`data`) or has not.
    fn find_stored(&self, inode: InodeNumber, numbers: Range<u64>, data: bool) -> Result<Option<u64>> {
        let mut at = numbers.start;
        let mut found = None;
        self.tree().runs(inode.0, RUN_KIND, numbers.clone(), &mut |position, run| {
            if data {
                found = Some(position);
            } else if position > at {
                found = Some(at);
            }
            at = position + run.hashes.len() as u64;
            found.is_none()
        })?;
        Ok(found.or(Some(at).filter(|at| !data && *at < numbers.end)))
    }

    /// How many of these blocks are there.
    pub fn count(&self, inode: InodeNumber, numbers: Range<u64>) -> Result<u64> {
        let (mut at, mut count) = (numbers.start, 0);
        while at < numbers.end {
            let (spot, until) = self.span(inode, at);
            let until = until.min(numbers.end);
            match spot {
                Spot::Dirty => count += until - at,
                Spot::Hole => {}
                Spot::Below => self.tree().runs(inode.0, RUN_KIND, at..until, &mut |_, run| {
                    count += run.hashes.len() as u64;
                    true
                })?,
            }
            at = until;
        }
        Ok(count)
    }

    /// What the overlays say of a block, and up to where, exclusive, they say the same.
    fn span(&self, inode: InodeNumber, number: u64) -> (Spot, u64) {
        let mut end = u64::MAX;
        let spot = self.find(|overlay| {
            let (spot, until) = overlay.file(inode)?.span(number);
            end = end.min(until);
            Some(spot).filter(|spot| *spot != Spot::Below)
        });
        (spot.unwrap_or(Spot::Below), end)
    }
}

fn flatten(blocks: Vec<Option<Block>>) -> Vec<Block> {
    blocks.into_iter().map(|block| block.unwrap_or(Block::Hole)).collect()
}

/// The next larger key.
fn successor(key: Key) -> Option<Key> {
    let Key { object, kind, position } = key;
    match (position.checked_add(1), kind.checked_add(1), object.checked_add(1)) {
        (Some(position), _, _) => Some(Key::new(object, kind, position)),
        (_, Some(kind), _) => Some(Key::new(object, kind, 0)),
        (_, _, Some(object)) => Some(Key::new(object, 0, 0)),
        _ => None,
    }
}

/// The bytes allocated to a file that has `stored` as its item, after `change` bytes more.
pub(in crate::content) fn add_allocated(stored: Option<Vec<u8>>, change: i64) -> Result<u64> {
    let before = match stored {
        None => Some(0),
        Some(item) => item.try_into().map(u64::from_le_bytes).ok(),
    };
    let after = before.and_then(|before| before.checked_add_signed(change));
    after.ok_or_else(|| Error::new(ErrorKind::Corrupt, "a file's count of allocated bytes does not fit its blocks"))
}

/// What a range of a file's bytes has of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::content) struct Part {
    /// Where in the block.
    pub of_block: Range<usize>,
    /// Where in the range.
    pub of_range: Range<usize>,
}

impl Part {
    /// The part of `range` in block `number`, which it touches.
    pub fn of(range: Range<u64>, number: u64, block_len: u64) -> Self {
        let start = number * block_len;
        let (from, to) = (range.start.max(start), range.end.min(start + block_len));
        let relative = |base: u64| (from - base) as usize..(to - base) as usize;
        Self { of_block: relative(start), of_range: relative(range.start) }
    }
}
