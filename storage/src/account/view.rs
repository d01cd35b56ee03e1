//! The account as one commit left it, read from the disk: what a pool that is opened would find.
//!
//! Invariant: nothing comes from caches or from memory, and what is damaged hides no more than what it leads to. Whoever
//! looks keeps the commit pinned, so that nothing of it is unlinked meanwhile.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::account::inspect::Recorded;
use crate::account::link::Link;
use crate::account::log::Pending;
use crate::account::pages::Pages;
use crate::account::radix::{Node, Nodes, pages_below, walk_all, walk_from};
use crate::account::slots::{SlotPage, id_of, page_of};
use crate::account::usage::Usage;
use crate::account::{Account, AccountState, open};
use crate::error::{Error, Result};
use crate::format::{SegmentId, SlotId};
use crate::segment::Place;

/// The account of one commit.
pub struct AccountView<'a> {
    pages: &'a Pages,
    state: &'a AccountState,
}

/// A page of the slot table that has not been read yet.
#[derive(Clone, Debug)]
pub struct PageRef {
    /// The ids whose slots are in it.
    pub ids: RangeInclusive<SlotId>,
    number: u64,
    link: Link,
}

/// A part of the slot table that cannot be read.
#[derive(Debug)]
pub struct LostPages {
    /// The ids whose slots it had.
    pub ids: RangeInclusive<SlotId>,
    /// Why.
    pub error: Error,
}

/// What the slot table does not have yet: changes of counts that wait to be folded.
pub struct PendingChanges {
    pending: Pending,
}

/// A change of the references to neighbouring blocks of an extent, or to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceChange {
    /// Which extent or node.
    pub id: SlotId,
    /// The first block.
    pub first: u8,
    /// How many blocks.
    pub count: u8,
    /// What is added to the references to each.
    pub change: i32,
}

/// Reads radix nodes past the cache.
struct FromDisk<'a>(&'a Pages);

impl Nodes for FromDisk<'_> {
    fn node(&self, link: &Link, level: u8, index: u64) -> Result<Arc<Node>> {
        Ok(Arc::new(Node::decode(&self.0.bytes(link)?, (level, index))?))
    }
}

fn ids_of(first: u64, last: u64) -> RangeInclusive<SlotId> {
    id_of(first, 0)..=id_of(last, u8::MAX)
}

impl Account {
    /// The account as the commit of `state` left it.
    pub fn view<'a>(&'a self, state: &'a AccountState) -> AccountView<'a> {
        AccountView { pages: &self.pages, state }
    }
}

impl AccountView<'_> {
    /// The pages of the slot table, in order of ids; about 80 bytes of memory for 256 slots. What cannot be found is
    /// told to `lost`.
    pub fn slot_pages(&self, lost: &mut dyn FnMut(LostPages)) -> Vec<PageRef> {
        let mut found = Vec::new();
        let mut page = |(level, number), link: &Link| {
            if level == 0 {
                found.push(PageRef { ids: ids_of(number, number), number, link: *link });
            }
        };
        walk_all(&self.state.slots, &FromDisk(self.pages), &mut page, &mut |key, error| {
            let (first, last) = pages_below(key);
            lost(LostPages { ids: ids_of(first, last), error });
        });
        found
    }

    /// The same, from the one that has the slot `from` on, until `visit` returns false. Returns whether it came to the end.
    pub fn slot_pages_from(
        &self,
        from: SlotId,
        visit: &mut dyn FnMut(std::result::Result<PageRef, LostPages>) -> bool,
    ) -> Result<bool> {
        let page = page_of(from)?;
        Ok(walk_from(page, &self.state.slots, &FromDisk(self.pages), &mut |key, step| match step {
            Ok(link) if key.0 == 0 => visit(Ok(PageRef { ids: ids_of(key.1, key.1), number: key.1, link: *link })),
            Ok(_) => true,
            Err(error) => {
                let (first, last) = pages_below(key);
                visit(Err(LostPages { ids: ids_of(first, last), error }))
            }
        }))
    }

    /// The slots of a page, in order of ids. Pending changes are not in it.
    pub fn slots(&self, page: &PageRef) -> Result<Vec<Recorded>> {
        let slots = SlotPage::decode(&self.pages.bytes(&page.link)?, page.number)?;
        let recorded = slots.iter().map(|(slot, value)| {
            let extras = slots.extras(slot).collect();
            Recorded { id: id_of(page.number, slot), slot: *value, extras }
        });
        Ok(recorded.collect())
    }

    /// Reads the free log.
    pub fn pending(&self) -> Result<PendingChanges> {
        let (_, pending) = open::read_log(self.pages, self.state)?;
        Ok(PendingChanges { pending })
    }

    /// Live bytes by segment, as the usage table has them.
    pub fn usage(&self) -> Result<BTreeMap<SegmentId, u64>> {
        let mut usage = Usage::default();
        self.state.usage.walk(&FromDisk(self.pages), &mut |key, link| match key.0 {
            0 => self.pages.decoded(link, |bytes| usage.decode_page(bytes, key.1)),
            _ => Ok(()),
        })?;
        Ok(usage.live().collect())
    }

    /// Calls `found` with the place of every page of the account: of slots, usage and free log.
    pub fn for_each_page(&self, found: &mut dyn FnMut(Place)) -> Result<()> {
        let nodes = FromDisk(self.pages);
        for root in [&self.state.slots, &self.state.usage] {
            root.walk(&nodes, &mut |_, link| {
                found(link.place);
                Ok(())
            })?;
        }
        let (log, _) = open::read_log(self.pages, self.state)?;
        log.head.iter().chain(log.chunks.iter().map(|chunk| &chunk.link)).for_each(|link| found(link.place));
        Ok(())
    }
}

impl PageRef {
    /// Bytes that the page takes.
    pub fn stored_len(&self) -> u64 {
        u64::from(self.link.place.length)
    }
}

impl PendingChanges {
    /// The changes to the ids of a range of whole pages, in order of pages.
    pub fn of(&self, ids: RangeInclusive<SlotId>) -> impl Iterator<Item = ReferenceChange> {
        let pages = self.pending.pages().filter(move |(page, _)| ids.contains(&id_of(*page, 0)));
        pages.flat_map(|(page, deltas)| {
            deltas.iter().map(move |delta| ReferenceChange {
                id: id_of(page, delta.slot),
                first: delta.first,
                count: delta.count,
                change: delta.change,
            })
        })
    }
}
