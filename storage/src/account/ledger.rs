//! What changed since the last commit, and what the last commit left to be folded.
//!
//! Invariant: what belongs to a later commit than the one in progress is only here, so a crash
//! forgets it whole. A segment is pinned while something here lies in it that no page knows of yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::log::{Delta, Entry, Pending};
use crate::account::radix::Root;
use crate::account::slots::{Slot, page_of};
use crate::format::{Birth, SegmentId, SlotId};
use crate::segment::Place;

/// A slot that no page has yet.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// The commit that it belongs to.
    pub birth: Birth,
    pub slot: Slot,
}

/// Everything that appends, frees and commits share.
#[derive(Default)]
pub struct Ledger {
    /// The last commit.
    pub birth: Birth,
    /// Its slot table.
    pub slots: Root,
    /// Deltas that no page has applied, of later commits too.
    pub pending: Pending,
    fresh: BTreeMap<SlotId, Fresh>,
    moves: BTreeMap<SlotId, Place>,
    pins: BTreeMap<SegmentId, u32>,
    /// Pages with deltas, by the commit that these belong to.
    touched: BTreeMap<Birth, BTreeSet<u64>>,
}

/// What a commit puts into pages.
pub struct Gathered {
    pub fresh: Vec<(SlotId, Fresh)>,
    pub moves: Vec<(SlotId, Place)>,
}

impl Ledger {
    /// The ledger right after a commit.
    pub fn new(birth: Birth, slots: Root, pending: Pending) -> Self {
        Self { birth, slots, pending, ..Self::default() }
    }

    /// A slot that no page has yet.
    pub fn fresh(&self, id: SlotId) -> Option<&Fresh> {
        self.fresh.get(&id)
    }

    /// Where a slot was moved since the last commit.
    pub fn moved(&self, id: SlotId) -> Option<Place> {
        self.moves.get(&id).copied()
    }

    /// Whether a segment holds something that no page knows of yet.
    pub fn pins(&self, segment: SegmentId) -> bool {
        self.pins.contains_key(&segment)
    }

    /// Records a new slot.
    pub fn record(&mut self, id: SlotId, birth: Birth, slot: Slot) {
        self.fresh.insert(id, Fresh { birth, slot });
        *self.pins.entry(slot.place.segment).or_insert(0) += 1;
    }

    /// Records that a slot's bytes are now at `place` as well.
    pub fn record_move(&mut self, id: SlotId, place: Place) {
        *self.pins.entry(place.segment).or_insert(0) += 1;
        if let Some(before) = self.moves.insert(id, place) {
            self.unpin(before.segment);
        }
    }

    /// Records a delta.
    pub fn change(&mut self, page: u64, delta: Delta) {
        self.touched.entry(delta.birth).or_default().insert(page);
        self.pending.add(page, delta);
    }

    /// What the commit `birth` puts into pages.
    pub fn gather(&self, birth: Birth) -> Gathered {
        let due = self.fresh.iter().filter(|(_, fresh)| fresh.birth <= birth);
        Gathered {
            fresh: due.map(|(id, fresh)| (*id, *fresh)).collect(),
            moves: self.moves.iter().map(|(id, place)| (*id, *place)).collect(),
        }
    }

    /// References to a block by all deltas up to a commit that no page has applied.
    pub fn pending_of(&self, page: u64, slot: u8, index: u8, up_to: Birth) -> i64 {
        let deltas = self.pending.of(page).iter();
        deltas
            .filter(|delta| delta.birth <= up_to && delta.covers(slot, index))
            .map(|delta| i64::from(delta.change))
            .sum()
    }

    /// The deltas that commit `birth` adds to the log, without those that it folds at once.
    pub fn new_deltas(&self, birth: Birth, folded: &BTreeMap<u64, Birth>) -> Vec<Entry> {
        let pages: BTreeSet<u64> = self.touched.range(..=birth).flat_map(|(_, pages)| pages).copied().collect();
        self.entries(pages.into_iter(), self.birth, birth, folded)
    }

    /// All deltas that are not folded after commit `birth`.
    pub fn all_deltas(&self, birth: Birth, folded: &BTreeMap<u64, Birth>) -> Vec<Entry> {
        self.entries(self.pending.pages().map(|(page, _)| page), Birth(0), birth, folded)
    }

    fn entries(
        &self,
        pages: impl Iterator<Item = u64>,
        after: Birth,
        until: Birth,
        folded: &BTreeMap<u64, Birth>,
    ) -> Vec<Entry> {
        let mut entries = Vec::new();
        for page in pages {
            let after = folded.get(&page).map_or(after, |up_to| after.max(*up_to));
            let due = self.pending.of(page).iter().filter(|delta| delta.birth > after && delta.birth <= until);
            let start = entries.len();
            entries.extend(due.map(|delta| Entry::Delta { page, delta: *delta }));
            entries[start..].sort_by_key(|entry| match entry {
                Entry::Delta { delta, .. } => (delta.slot, delta.first, delta.count, delta.birth, delta.change),
                Entry::Fold { .. } => unreachable!("only deltas were put in"),
            });
        }
        entries
    }

    /// Takes over what a commit wrote.
    pub fn publish(&mut self, birth: Birth, slots: Root, gathered: &Gathered, folded: &BTreeMap<u64, Birth>) {
        self.birth = birth;
        self.slots = slots;
        for (id, fresh) in &gathered.fresh {
            self.fresh.remove(id);
            self.unpin(fresh.slot.place.segment);
        }
        for (id, place) in &gathered.moves {
            if self.moves.get(id) == Some(place) {
                self.moves.remove(id);
                self.unpin(place.segment);
            }
        }
        folded.iter().for_each(|(page, up_to)| self.pending.fold(*page, *up_to));
        self.touched = self.touched.split_off(&Birth(birth.0 + 1));
    }

    /// The pages whose deltas to fold: those of `dirty` that have any due, the `at_least` with the most,
    /// and more until no more than `pending_max` deltas remain. Also whether others have any due.
    pub fn choose_folds(
        &self,
        up_to: Birth,
        dirty: &BTreeSet<u64>,
        at_least: usize,
        pending_max: usize,
    ) -> (BTreeSet<u64>, bool) {
        let due = |deltas: &[Delta]| deltas.iter().any(|delta| delta.birth <= up_to);
        let mut rest = Vec::new();
        let mut chosen = BTreeSet::new();
        let mut remaining = self.pending.count();
        for (page, deltas) in self.pending.pages().filter(|(_, deltas)| due(deltas)) {
            match dirty.contains(&page) {
                true => {
                    remaining -= deltas.len();
                    chosen.insert(page);
                }
                false => rest.push((deltas.len(), page)),
            }
        }
        rest.sort_unstable_by(|one, other| other.cmp(one));
        for (at, (count, page)) in rest.into_iter().enumerate() {
            if at >= at_least && remaining <= pending_max {
                return (chosen, true);
            }
            remaining -= count;
            chosen.insert(page);
        }
        (chosen, false)
    }

    fn unpin(&mut self, segment: SegmentId) {
        let count = self.pins.get_mut(&segment).expect("what is recorded pins its segment");
        *count -= 1;
        if *count == 0 {
            self.pins.remove(&segment);
        }
    }
}

/// The pages that a commit of `gathered` changes.
pub fn dirty_pages(gathered: &Gathered) -> BTreeSet<u64> {
    let ids = gathered.fresh.iter().map(|(id, _)| *id).chain(gathered.moves.iter().map(|(id, _)| *id));
    ids.map(|id| page_of(id).expect("recorded ids are ours")).collect()
}
