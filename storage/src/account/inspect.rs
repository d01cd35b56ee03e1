//! What an account tells about itself: figures, sparse segments, and all that `verify` recounts.

use std::sync::Arc;

use crate::account::Account;
use crate::account::slots::{Slot, SlotPage, id_of, page_of, slot_of};
use crate::account::usage::SegmentUsage;
use crate::error::Result;
use crate::format::{SegmentId, SlotId};

/// Figures for `space` and `counters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AccountTotals {
    /// Bytes that live slots and current pages take, pending frees included.
    pub live: u64,
    /// Bytes that segment files, spares and the reserve take on the host, at most.
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

impl Account {
    /// Figures as of the last commit.
    pub fn totals(&self) -> AccountTotals {
        // One lock at a time: a move of an extent takes the ledger's while it holds the stream's.
        let live = *self.live.lock();
        let pending = self.ledger.read().pending.count() as u64;
        AccountTotals { live, stored: self.segments().stored_len(), pending, appended: self.segments().appended_len() }
    }

    /// The finished segments of which at most `percent` lives, the emptiest first.
    pub fn sparse_segments(&self, percent: u32) -> Vec<SegmentUsage> {
        let books = self.books.lock();
        let sparse = |usage: &SegmentUsage| u64::from(usage.live) * 100 <= u64::from(usage.sealed) * u64::from(percent);
        let mut found: Vec<_> = books.usage.finished().filter(sparse).collect();
        found.sort_by_key(|usage| (u64::from(usage.live) << 20) / u64::from(usage.sealed));
        found
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
