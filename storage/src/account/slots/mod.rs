//! Slots, and the pages of 256 that the slot table is made of.

mod codec;

use std::collections::BTreeMap;

use crate::account::log::Delta;
use crate::error::{Error, ErrorKind, Result};
use crate::extent::BLOCKS_MAX;
use crate::format::{Birth, SegmentId, SlotId};
use crate::segment::{Place, SLOTS_MAX};

/// Slots in a page.
pub const PAGE_SLOTS: u32 = 256;
/// Pages that a segment's slots can take.
const SEGMENT_PAGES: u64 = (SLOTS_MAX / PAGE_SLOTS) as u64;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Compressed blocks.
    Extent,
    /// One piece of a tree; it counts as one block.
    Node,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where it lies now.
    pub place: Place,
    /// A bit for each block that something refers to.
    pub live: u32,
    /// What it is.
    pub kind: SlotKind,
}

/// The number of a page: in order of segments, and of slots within one.
pub fn page_of(id: SlotId) -> Result<u64> {
    if id.slot() >= SLOTS_MAX {
        return Err(Error::new(ErrorKind::Corrupt, format!("find the slot {id:?}, which no writer gives out")));
    }
    Ok(id.segment().0 * SEGMENT_PAGES + u64::from(id.slot() / PAGE_SLOTS))
}

/// The id of a slot of a page.
pub fn id_of(page: u64, slot: u8) -> SlotId {
    let segment = SegmentId(page / SEGMENT_PAGES);
    SlotId::new(segment, (page % SEGMENT_PAGES) as u32 * PAGE_SLOTS + u32::from(slot))
}

/// The first id whose slot is in the same page as that of `id`.
pub fn first_of_page(id: SlotId) -> SlotId {
    SlotId(id.0 - id.0 % u64::from(PAGE_SLOTS))
}

/// A slot's position in its page.
pub fn slot_of(id: SlotId) -> u8 {
    (id.slot() % PAGE_SLOTS) as u8
}

/// What folding came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Folded {
    /// These slots died.
    Done(Vec<Slot>),
    /// A block would die that a later delta refers to. Nothing was done: fold when that one is due too.
    Contested,
}

/// A page of the slot table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPage {
    /// Which one.
    pub number: u64,
    /// All deltas up to this commit are applied.
    pub folded: Birth,
    slots: Vec<Option<Slot>>,
    /// References beyond the first, by slot and block; never zero, and only of live blocks.
    extras: BTreeMap<(u8, u8), u32>,
}

impl SlotPage {
    /// A page without slots.
    pub fn new(number: u64) -> Self {
        Self { number, folded: Birth(0), slots: Vec::new(), extras: BTreeMap::new() }
    }

    /// Whether no slot is used.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A slot, if it is used.
    pub fn get(&self, slot: u8) -> Option<&Slot> {
        self.slots.get(usize::from(slot))?.as_ref()
    }

    /// Sets a slot.
    pub fn set(&mut self, slot: u8, value: Slot) {
        let at = usize::from(slot);
        if self.slots.len() <= at {
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = Some(value);
    }

    /// The used slots.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &Slot)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at as u8, slot.as_ref()?)))
    }

    /// References to a block.
    pub fn count(&self, slot: u8, index: u8) -> u64 {
        let live = self.get(slot).is_some_and(|slot| slot.live >> index & 1 == 1);
        u64::from(live) + self.extras.get(&(slot, index)).map_or(0, |extra| u64::from(*extra))
    }

    /// References beyond the first, of a slot's blocks that have any: index and how many.
    pub fn extras(&self, slot: u8) -> impl Iterator<Item = (u8, u32)> {
        self.extras.range((slot, 0)..=(slot, u8::MAX)).map(|((_, index), extra)| (*index, *extra))
    }

    /// Bytes that the page takes in memory, about.
    pub fn weight(&self) -> u64 {
        (128 + self.slots.len() * size_of::<Option<Slot>>() + self.extras.len() * 16) as u64
    }

    /// Applies the deltas of commits up to `up_to`. Fails if a block was freed more often than it is
    /// referred to.
    pub fn fold(&mut self, deltas: &[Delta], up_to: Birth) -> Result<Folded> {
        let mut changes = BTreeMap::new();
        for delta in deltas.iter().filter(|delta| delta.birth <= up_to) {
            for index in delta.first..delta.first + delta.count {
                *changes.entry((delta.slot, index)).or_insert(0) += i64::from(delta.change);
            }
        }
        let mut counts = BTreeMap::new();
        for ((slot, index), change) in changes {
            let count = self.count(slot, index) as i64 + change;
            if count < 0 || count > i64::from(u32::MAX) {
                let id = id_of(self.number, slot);
                let what = format!("count {count} references to block {index} of {id:?}");
                return Err(Error::new(ErrorKind::Corrupt, what));
            }
            counts.insert((slot, index), count as u32);
        }
        let later = |slot, index| {
            let adds = |delta: &Delta| delta.birth > up_to && delta.change > 0 && delta.covers(slot, index);
            deltas.iter().any(adds)
        };
        if counts.iter().any(|((slot, index), count)| *count == 0 && later(*slot, *index)) {
            return Ok(Folded::Contested);
        }
        self.folded = self.folded.max(up_to);
        counts.into_iter().for_each(|((slot, index), count)| self.set_count(slot, index, count));
        Ok(Folded::Done(self.bury()))
    }

    fn set_count(&mut self, slot: u8, index: u8, count: u32) {
        let Some(Some(value)) = self.slots.get_mut(usize::from(slot)) else { return };
        match count {
            0 => value.live &= !(1 << index),
            _ => value.live |= 1 << index,
        }
        match count {
            0 | 1 => self.extras.remove(&(slot, index)),
            _ => self.extras.insert((slot, index), count - 1),
        };
    }

    /// Takes out the slots without live blocks.
    fn bury(&mut self) -> Vec<Slot> {
        let dead = self.slots.iter_mut().filter_map(|slot| slot.take_if(|slot| slot.live == 0)).collect();
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        dead
    }
}

const _: () = assert!(BLOCKS_MAX <= 32 && PAGE_SLOTS == 1 << 8);
