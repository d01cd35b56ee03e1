//! What an account tells about itself: figures, sparse segments, and all that `verify` recounts.

use std::sync::Arc;

use crate::account::Account;
use crate::account::slots::{Slot, SlotPage, id_of, page_of, slot_of};
use crate::account::usage::SegmentUsage;
use crate::error::Result;
use crate::extent::BLOCKS_MAX;
use crate::format::{Birth, SegmentId, SlotId};

/// Figures for `space` and `counters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AccountTotals {
    /// Bytes that live slots and current pages take, pending frees included.
    pub live: u64,
    /// Bytes that segment files, spares and the reserve take on the host, at most: without what was punched.
    pub stored: u64,
    /// Deltas that wait to be folded.
    pub pending: u64,
    /// Bytes appended since the account was opened.
    pub appended: u64,
}

/// A slot with its counts, as a page has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id.
    pub id: SlotId,
    /// Where it lies, and which of its blocks live.
    pub slot: Slot,
    /// References beyond the first: block index and how many, where there are any.
    pub extras: Vec<(u8, u32)>,
}

/// How often the blocks of an extent, or a node, are referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct References {
    /// Bytes that it takes as stored.
    pub stored_len: u32,
    /// References by block; a node is as a single block.
    pub counts: [u64; BLOCKS_MAX],
}

impl References {
    /// How many blocks somebody refers to.
    pub fn live(&self) -> u64 {
        self.counts.iter().filter(|count| **count > 0).count() as u64
    }
}

impl Account {
    /// The references to an extent or node as of commit `birth`, which the caller keeps pinned; `None` if all its blocks died
    /// and were folded away.
    pub fn references(&self, id: SlotId, birth: Birth) -> Result<Option<References>> {
        let (number, slot) = (page_of(id)?, slot_of(id));
        let mut changes = [0_i64; BLOCKS_MAX];
        let (root, fresh, moved) = {
            let ledger = self.ledger.read();
            let due = ledger.pending.of(number).iter().filter(|delta| delta.slot == slot && delta.birth <= birth);
            for delta in due {
                let blocks = usize::from(delta.first)..usize::from(delta.first + delta.count);
                changes[blocks].iter_mut().for_each(|change| *change += i64::from(delta.change));
            }
            (ledger.slots, ledger.fresh(id).map(|fresh| fresh.slot), ledger.moved(id))
        };
        let link = root.find(&self.pages, number)?;
        let page = link.map(|link| self.pages.slot_page(&link, number)).transpose()?;
        let count = |index: u8| match (&fresh, &page) {
            (Some(fresh), _) => u64::from(fresh.live >> index & 1),
            (None, Some(page)) => page.count(slot, index),
            (None, None) => 0,
        };
        let Some(found) = fresh.or_else(|| page.as_ref()?.get(slot).copied()) else { return Ok(None) };
        let counts = std::array::from_fn(|index| count(index as u8).saturating_add_signed(changes[index]));
        Ok(Some(References { stored_len: moved.unwrap_or(found.place).length, counts }))
    }

    /// Figures as of the last commit.
    pub fn totals(&self) -> AccountTotals {
        // One lock at a time: a move of an extent takes the ledger's while it holds the stream's.
        let (live, punched) = *self.figures.lock();
        let pending = self.ledger.read().pending.count() as u64;
        let stored = self.segments().stored_len().saturating_sub(punched);
        AccountTotals { live, stored, pending, appended: self.segments().appended_len() }
    }

    /// The finished segments of which at most `percent` lives, the emptiest first.
    pub fn sparse_segments(&self, percent: u32) -> Vec<SegmentUsage> {
        let books = self.books.lock();
        let mut found: Vec<_> = books.usage.finished().filter(|usage| usage.is_sparse(percent)).collect();
        found.sort_by_key(|usage| (u64::from(usage.live) << 20) / u64::from(usage.sealed));
        found
    }

    /// Bytes that nothing refers to in finished segments of which at most `percent` lives.
    pub fn sparse_len(&self, percent: u32) -> u64 {
        self.sparse_segments(percent).iter().map(|usage| u64::from(usage.sealed - usage.live.min(usage.sealed))).sum()
    }

    /// How full a segment is, if it lives.
    pub fn segment_live(&self, segment: SegmentId) -> u64 {
        self.books.lock().usage.get(segment).map_or(0, |record| u64::from(record.live))
    }

    /// Calls `found` with every slot of the last commit, in order of ids. Pending deltas are not applied.
    pub fn for_each_slot(&self, found: &mut dyn FnMut(&Recorded)) -> Result<()> {
        let root = self.ledger.read().slots;
        root.walk(&self.pages, &mut |key, link| {
            if key.0 == 0 {
                let page: Arc<SlotPage> = self.pages.slot_page(link, key.1)?;
                for (slot, value) in page.iter() {
                    let extras = page.extras(slot).collect();
                    found(&Recorded { id: id_of(key.1, slot), slot: *value, extras });
                }
            }
            Ok(())
        })
    }

    /// What the committed deltas that are not folded yet add to a block's references.
    pub fn pending_delta(&self, id: SlotId, index: u8) -> Result<i64> {
        let number = page_of(id)?;
        let ledger = self.ledger.read();
        Ok(ledger.pending_of(number, slot_of(id), index, ledger.birth))
    }
}
