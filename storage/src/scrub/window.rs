//! The slots of a range of ids: what the account says of each, and what was found of it.
//!
//! Invariant: slots are in order of ids, and each has a [`Block`] for every live bit, in order of these.

use std::ops::RangeInclusive;

use crate::account::{AccountView, PageRef, PendingChanges, Recorded, SlotKind};
use crate::error::Error;
use crate::format::{BlockHash, SlotId};
use crate::segment::Place;

/// A slot.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which extent or node.
    pub id: SlotId,
    /// Where it lies.
    pub place: Place,
    /// A bit for each block that lived when deltas were folded last.
    pub live: u32,
    /// Whether it is a node.
    pub is_node: bool,
    /// Bytes in a block, as a power of two, of those who refer to it; 0 as long as none did.
    block_len_log2: u8,
    start: u32,
}

/// What is known of a block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Block {
    /// How many references the account counts.
    pub expected: i64,
    /// How many were found.
    pub found: u32,
    /// The sum of [`digest`] over them.
    pub digest: u32,
}

impl Entry {
    /// A slot that nobody was found to refer to.
    pub fn new(recorded: &Recorded) -> Self {
        let Recorded { id, slot, .. } = recorded;
        let is_node = slot.kind == SlotKind::Node;
        Self { id: *id, place: slot.place, live: slot.live, is_node, block_len_log2: 0, start: 0 }
    }
}

impl Block {
    /// Finds a reference more; where it does not count, it is as expected.
    fn find(&mut self, counts: bool) {
        self.found += 1;
        self.expected += i64::from(!counts);
    }
}

/// The slots of a range of ids.
pub struct Window {
    ids: RangeInclusive<SlotId>,
    entries: Vec<Entry>,
    blocks: Vec<Block>,
    /// Ids whose slots cannot be read.
    lost: Vec<RangeInclusive<SlotId>>,
}

/// References to blocks of an extent, or to a node.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// Which extent or node.
    pub id: SlotId,
    /// The first block.
    pub first: u8,
    /// What the blocks are to be; of a node none.
    pub hashes: &'a [BlockHash],
    /// Whether it is a node.
    pub is_node: bool,
    /// Bytes in a block, as a power of two.
    pub block_len_log2: u8,
    /// Whether the account counts it; else it is another way to what is counted elsewhere.
    pub counts: bool,
}

/// A few bits of a hash. Their sum over all who refer to a block tells, but for one in four thousand million, whether all of them
/// name what its extent's header names; in a quarter of the memory that hashes take.
pub fn digest(hash: &BlockHash) -> u32 {
    let [a, b, c, d, ..] = hash.0;
    u32::from_le_bytes([a, b, c, d])
}

impl Window {
    /// The ids that this is about.
    pub fn ids(&self) -> RangeInclusive<SlotId> {
        self.ids.clone()
    }

    /// Whether it is about an id.
    pub fn contains(&self, id: SlotId) -> bool {
        self.ids.contains(&id)
    }

    /// Reads slots from `rest` on until they take `window_len` bytes, and takes the pages read off `rest`. The window goes from
    /// `from` to its last page, or if that is the last of all, to the last id. Pages that cannot be read are told to `lost`.
    pub fn read(
        view: &AccountView<'_>,
        rest: &mut &[PageRef],
        from: SlotId,
        window_len: usize,
        lost: &mut Vec<RangeInclusive<SlotId>>,
        failed: &mut dyn FnMut(&PageRef, Error),
    ) -> Self {
        let (mut entries, mut blocks, mut last) = (Vec::new(), Vec::new(), from);
        while let Some((page, after)) = rest.split_first() {
            let used = entries.len() * size_of::<Entry>() + blocks.len() * size_of::<Block>();
            if used >= window_len {
                break;
            }
            match view.slots(page) {
                Ok(slots) => slots.iter().for_each(|slot| push(slot, &mut entries, &mut blocks)),
                Err(error) => {
                    lost.push(page.ids.clone());
                    failed(page, error);
                }
            }
            (*rest, last) = (after, *page.ids.end());
        }
        if rest.is_empty() {
            last = SlotId(u64::MAX);
        }
        Self { ids: from..=last, entries, blocks, lost: lost.clone() }
    }

    /// The first id after this window's.
    pub fn next(&self) -> SlotId {
        SlotId(self.ids.end().0.saturating_add(1))
    }

    /// The slots.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A slot's blocks: index and what is known.
    pub fn blocks(&self, entry: &Entry) -> impl Iterator<Item = (u8, &Block)> {
        let live = entry.live;
        let indices = (0..32_u8).filter(move |index| live >> index & 1 == 1);
        indices.zip(&self.blocks[entry.start as usize..])
    }

    /// A bit for each block of a slot that somebody refers to.
    pub fn referenced(&self, entry: &Entry) -> u32 {
        let found = self.blocks(entry).filter(|(_, block)| block.found > 0);
        found.fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// Bytes in a block of a slot, as a power of two, if somebody refers to one.
    pub fn block_len_log2(&self, entry: &Entry) -> u8 {
        entry.block_len_log2
    }

    /// Counts what waits to be folded. Tells `stray` of changes to what is not there.
    pub fn apply(&mut self, pending: &PendingChanges, stray: &mut dyn FnMut(SlotId)) {
        for change in pending.of(self.ids.clone()) {
            for index in change.first..change.first + change.count {
                if let Some(block) = self.block_mut(change.id, index) {
                    block.expected += i64::from(change.change);
                } else if !self.is_lost(change.id) {
                    stray(change.id);
                }
            }
        }
    }

    /// Notes references that are to be freed, which nobody follows any more.
    pub fn owe(&mut self, id: SlotId, first: u8, count: u8) {
        for index in first..first + count {
            if let Some(block) = self.block_mut(id, index) {
                block.expected -= 1;
            }
        }
    }

    /// Counts references. Returns what is wrong with them.
    pub fn refer(&mut self, reference: &Reference<'_>) -> Option<String> {
        let Reference { id, first, hashes, is_node, block_len_log2, counts } = *reference;
        let what = if is_node { "node" } else { "extent" };
        let Some(at) = self.find(id) else {
            return Some(match self.is_lost(id) {
                true => format!("the place of the {what} {id:?} is lost with a page of the slot table"),
                false => format!("the {what} {id:?} is not in the slot table"),
            });
        };
        let entry = &mut self.entries[at];
        if entry.is_node != is_node {
            return Some(format!("the slot table has something else as the {what} {id:?}"));
        }
        if is_node {
            self.blocks[entry.start as usize].find(counts);
            return None;
        }
        let known = if entry.block_len_log2 == 0 { block_len_log2 } else { entry.block_len_log2 };
        entry.block_len_log2 = known;
        if known != block_len_log2 {
            return Some(format!("datasets with blocks of different sizes share the extent {id:?}"));
        }
        let mut missing = None;
        for (index, hash) in (first..).zip(hashes) {
            match self.block_mut(id, index) {
                Some(block) => {
                    block.find(counts);
                    block.digest = block.digest.wrapping_add(digest(hash));
                }
                None => missing = missing.or(Some(index)),
            }
        }
        missing.map(|index| format!("block {index} of the extent {id:?} was given back"))
    }

    fn find(&self, id: SlotId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    fn is_lost(&self, id: SlotId) -> bool {
        self.lost.iter().any(|ids| ids.contains(&id))
    }

    fn block_mut(&mut self, id: SlotId, index: u8) -> Option<&mut Block> {
        let entry = &self.entries[self.find(id)?];
        if entry.live >> index & 1 == 0 {
            return None;
        }
        let before = (entry.live & ((1 << index) - 1)).count_ones();
        self.blocks.get_mut((entry.start + before) as usize)
    }
}

fn push(slot: &Recorded, entries: &mut Vec<Entry>, blocks: &mut Vec<Block>) {
    entries.push(Entry { start: blocks.len() as u32, ..Entry::new(slot) });
    let Recorded { slot, extras, .. } = slot;
    for index in (0..32_u8).filter(|index| slot.live >> index & 1 == 1) {
        let extra = extras.iter().find(|(extra, _)| *extra == index).map_or(0, |(_, more)| i64::from(*more));
        blocks.push(Block { expected: 1 + extra, ..Block::default() });
    }
}
