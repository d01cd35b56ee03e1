//! The free log: changes of reference counts that are not in the slot pages yet.
//!
//! Invariant: reading the chunks in order gives exactly the deltas that no page has applied: a chunk
//! also says which pages its commit folded, and up to where.

mod codec;

use std::collections::BTreeMap;

use crate::account::link::Link;
use crate::format::Birth;

pub use codec::{decode_chunk, decode_head, encode_chunks, encode_head};

/// A change of the reference counts of neighbouring blocks of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The commit that it belongs to.
    pub birth: Birth,
    /// What is added to each count.
    pub change: i32,
    /// The slot in its page.
    pub slot: u8,
    /// The first block.
    pub first: u8,
    /// How many blocks.
    pub count: u8,
}

impl Delta {
    /// Whether it changes this block.
    pub fn covers(&self, slot: u8, index: u8) -> bool {
        self.slot == slot && (self.first..self.first + self.count).contains(&index)
    }
}

/// A delta of a page, or the news that a page's deltas up to a commit are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Fold { page: u64, up_to: Birth },
    Delta { page: u64, delta: Delta },
}

/// A stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub link: Link,
    pub entries: u32,
}

/// What is stored of the log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The list of chunks, as stored; none when there are no chunks.
    pub head: Option<Link>,
    /// Oldest first.
    pub chunks: Vec<Chunk>,
}

/// Deltas that are not applied, by page. Those of one page are in no order.
#[derive(Debug, Default)]
pub struct Pending {
    pages: BTreeMap<u64, Vec<Delta>>,
    count: usize,
}

impl Pending {
    /// Adds a delta.
    pub fn add(&mut self, page: u64, delta: Delta) {
        self.pages.entry(page).or_default().push(delta);
        self.count += 1;
    }

    /// Takes out the deltas of a page up to a commit.
    pub fn fold(&mut self, page: u64, up_to: Birth) {
        let Some(deltas) = self.pages.get_mut(&page) else { return };
        let before = deltas.len();
        deltas.retain(|delta| delta.birth > up_to);
        self.count -= before - deltas.len();
        if deltas.is_empty() {
            self.pages.remove(&page);
        }
    }

    /// Does what an entry says.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Fold { page, up_to } => self.fold(page, up_to),
            Entry::Delta { page, delta } => self.add(page, delta),
        }
    }

    /// The deltas of a page.
    pub fn of(&self, page: u64) -> &[Delta] {
        self.pages.get(&page).map_or(&[], Vec::as_slice)
    }

    /// All pages with deltas, and these.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[Delta])> {
        self.pages.iter().map(|(page, deltas)| (*page, deltas.as_slice()))
    }

    /// How many deltas there are.
    pub fn count(&self) -> usize {
        self.count
    }
}
