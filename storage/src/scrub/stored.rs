//! A piece of what is stored, in order of ids, checked by what it says of itself: no tree is walked for it.

use std::ops::{Range, RangeInclusive};

use crate::account::{AccountView, LostPages, PageRef};
use crate::error::{Error, ErrorKind, Result};
use crate::extent::Compressor;
use crate::format::SlotId;
use crate::scrub::extents::{Broken, check_all, check_extent};
use crate::scrub::findings::Findings;
use crate::scrub::report::told;
use crate::scrub::window::Entry;
use crate::store::Store;
use crate::tree::Node;

/// What was read.
pub struct Piece {
    /// What is wrong.
    pub findings: Findings,
    /// Stored bytes read.
    pub bytes: u64,
    /// Extents and nodes read.
    pub objects: u64,
    /// Where the next piece begins; `None` when there is none.
    pub next: Option<SlotId>,
}

/// Reads and checks extents, nodes and pages of the slot table, of slots in `ids` from the first on, until that are about `budget` bytes.
/// Blocks that nobody refers to any more are among them as long as the slot table has them.
///
/// Fails only where going on makes no sense: what cannot be read is damage.
pub fn check_piece(store: &Store, view: &AccountView<'_>, ids: Range<SlotId>, budget: u64) -> Result<Piece> {
    let Range { start: from, end } = ids;
    let mut gathering = Gathering { from, end, budget, bytes: 0, entries: Vec::new(), findings: Findings::default() };
    let is_last = view.slot_pages_from(from, &mut |page| match page {
        Ok(page) => gathering.take(view, &page),
        Err(lost) => gathering.lose(&lost),
    })?;
    let Gathering { from, bytes, entries, mut findings, .. } = gathering;
    let check = |entry: &Entry, bytes: Result<&[u8]>, with: &mut Compressor| match entry.is_node {
        true => check_node(entry, bytes),
        false => check_extent(entry, entry.live, bytes, with).err(),
    };
    for broken in check_all(store, entries.iter().collect(), &check, &mut |_| true)? {
        findings.note_broken(broken);
    }
    let next = (!is_last && from < end).then_some(from);
    Ok(Piece { findings, bytes, objects: entries.len() as u64, next })
}

struct Gathering {
    from: SlotId,
    end: SlotId,
    budget: u64,
    bytes: u64,
    entries: Vec<Entry>,
    findings: Findings,
}

impl Gathering {
    /// Takes a page's slots as far as the budget goes. Returns whether there is some left.
    fn take(&mut self, view: &AccountView<'_>, page: &PageRef) -> bool {
        if *page.ids.start() >= self.end {
            self.from = self.end;
            return false;
        }
        self.bytes += page.stored_len();
        let slots = match view.slots(page) {
            Ok(slots) => slots,
            Err(error) => {
                let (first, last) = (page.ids.start(), page.ids.end());
                let problem = format!("the page of the slots {first:?} to {last:?} is damaged: {}", told(&error));
                self.findings.note(problem);
                Vec::new()
            }
        };
        for slot in slots.iter().filter(|slot| (self.from..self.end).contains(&slot.id)) {
            // Even a budget of nothing gets on.
            if self.bytes >= self.budget && !self.entries.is_empty() {
                self.from = slot.id;
                return false;
            }
            self.bytes += u64::from(slot.slot.place.length);
            self.entries.push(Entry::new(slot));
        }
        self.pass(&page.ids)
    }

    fn lose(&mut self, lost: &LostPages) -> bool {
        self.findings.note(format!("a part of the slot table is damaged: {}", told(&lost.error)));
        self.pass(&lost.ids)
    }

    fn pass(&mut self, ids: &RangeInclusive<SlotId>) -> bool {
        self.from = SlotId(ids.end().0.saturating_add(1));
        self.bytes < self.budget
    }
}

fn check_node(entry: &Entry, bytes: Result<&[u8]>) -> Option<Broken> {
    let act = format!("read the node {:?}", entry.id);
    let error = match bytes {
        Ok(bytes) => Error::because(ErrorKind::Corrupt, act, Node::check_stored(bytes, entry.id).err()?),
        Err(error) => error.during(act),
    };
    Some(Broken { id: entry.id, blocks: 1, problem: format!("a tree node is damaged: {}", told(&error)) })
}
