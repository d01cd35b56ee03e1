//! What follows from the records: who has a name, who belongs to whom, who waits for what.
//!
//! Invariant: it is the same when it is built anew from the records.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::forest::{Dataset, Edge, Fate, Snapshot};
use crate::catalog::{Catalog, Holder};
use crate::format::{Birth, DatasetId, SnapshotId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(in crate::catalog) struct Index {
    /// Live datasets by the dataset above and the last part of the name.
    pub datasets: BTreeMap<(Option<DatasetId>, String), DatasetId>,
    /// Snapshots that were not destroyed by themselves, by dataset and name.
    pub snapshots: BTreeMap<(DatasetId, String), SnapshotId>,
    /// All snapshots of each dataset, hidden ones included.
    pub timelines: BTreeSet<(DatasetId, SnapshotId)>,
    /// The forest, from parent to child, by the child's dead list.
    pub children: BTreeMap<(SnapshotId, u64), Holder>,
    /// What the children of each parent come to together.
    pub families: BTreeMap<SnapshotId, Family>,
    /// What can be undeleted or purged, longest destroyed first. A head stands for its dataset.
    pub awaiting: BTreeSet<(Timestamp, Holder)>,
    /// Purged holders without children, whose job has not begun.
    pub leaves: BTreeSet<Holder>,
    /// Purged holders with one child, whose job has not begun. Ancestors first, for then each entry of a chain
    /// of dead lists is read once.
    pub merges: BTreeSet<(Birth, SnapshotId)>,
    /// Purged holders with several children whose lists have grown enough to be sifted. The youngest is the first to be, for what
    /// it gives up goes to its own list.
    pub sifts: BTreeSet<(Birth, SnapshotId)>,
}

/// The children of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in crate::catalog) struct Family {
    /// How many there are.
    pub children: u64,
    /// How many of these have an empty dead list.
    pub empty: u64,
    /// Chunks of all their dead lists.
    pub chunks: u64,
    /// The sum of the ends of these: it grows by each chunk that is appended.
    pub ends: u64,
}

impl Index {
    /// Enters a record. Returns false if it contradicts another.
    pub fn enter_dataset(&mut self, id: DatasetId, dataset: &Dataset) -> bool {
        if let Some(head) = &dataset.head {
            self.enter_edge(Holder::Head(id), head);
        }
        match dataset.fate {
            Fate::Live => self.datasets.insert((dataset.folder, dataset.name.clone()), id).is_none(),
            Fate::Destroyed(since) => self.awaiting.insert((since, Holder::Head(id))),
            Fate::Purged => true,
        }
    }

    /// Enters a record. Returns false if it contradicts another.
    pub fn enter_snapshot(&mut self, id: SnapshotId, snapshot: &Snapshot) -> bool {
        self.timelines.insert((snapshot.dataset, id));
        self.enter_edge(Holder::Snapshot(id), &snapshot.edge);
        match snapshot.fate {
            Fate::Live => self.snapshots.insert((snapshot.dataset, snapshot.name.clone()), id).is_none(),
            Fate::Destroyed(since) => self.awaiting.insert((since, Holder::Snapshot(id))),
            Fate::Purged => true,
        }
    }

    /// Enters a child of its parent.
    pub fn enter_edge(&mut self, child: Holder, edge: &Edge) {
        let Some(parent) = edge.parent else { return };
        self.children.insert((parent, edge.list.id), child);
        let family = self.families.entry(parent).or_default();
        family.children += 1;
        family.empty += u64::from(edge.list.is_empty());
        // What damaged records say may be more than fits.
        family.chunks = family.chunks.saturating_add(edge.list.chunks());
        family.ends = family.ends.saturating_add(edge.list.end);
    }

    /// Takes out a child of its parent.
    pub fn leave_edge(&mut self, edge: &Edge) {
        let Some(parent) = edge.parent else { return };
        self.children.remove(&(parent, edge.list.id));
        let Some(family) = self.families.get_mut(&parent) else { return };
        family.children -= 1;
        family.empty -= u64::from(edge.list.is_empty());
        family.chunks = family.chunks.saturating_sub(edge.list.chunks());
        family.ends = family.ends.saturating_sub(edge.list.end);
        if family.children == 0 {
            self.families.remove(&parent);
        }
    }

    /// What the children of a snapshot come to.
    pub fn family(&self, parent: SnapshotId) -> Family {
        self.families.get(&parent).copied().unwrap_or_default()
    }
}

impl Catalog {
    /// Notes whether a holder that was purged or lost a child can be reclaimed.
    pub(in crate::catalog) fn review(&mut self, holder: Holder) {
        if !self.is_purged(holder) || self.edge(holder).is_err() || self.job.is_some_and(|job| job.holder == holder) {
            return;
        }
        let Holder::Snapshot(id) = holder else { return self.review_leaf(holder) };
        let birth = self.birth(Some(id));
        self.index.merges.remove(&(birth, id));
        match self.index.family(id).children {
            0 => self.review_leaf(holder),
            1 => {
                self.index.merges.insert((birth, id));
                let child = self.children(id).next();
                child.into_iter().for_each(|child| self.review_leaf(child));
            }
            _ => {}
        }
        self.review_sift(id);
    }

    /// Whether to walk a purged holder without children. The only child of a hollow parent has to wait: nobody else knows
    /// what that holds.
    fn review_leaf(&mut self, holder: Holder) {
        let is_leaf = match holder {
            Holder::Head(_) => true,
            Holder::Snapshot(id) => self.index.family(id).children == 0,
        };
        let parent = self.parent(holder);
        let waits =
            parent.is_some_and(|id| self.is_hollow(Holder::Snapshot(id)) && self.index.family(id).children == 1);
        match is_leaf && !waits && self.is_purged(holder) && self.job.is_none_or(|job| job.holder != holder) {
            true => self.index.leaves.insert(holder),
            false => self.index.leaves.remove(&holder),
        };
    }

    /// The snapshots of a dataset, hidden ones included.
    pub(in crate::catalog) fn timeline(&self, dataset: DatasetId) -> impl Iterator<Item = SnapshotId> + '_ {
        let ids = (dataset, SnapshotId(0))..=(dataset, SnapshotId(u64::MAX));
        self.index.timelines.range(ids).map(|(_, snapshot)| *snapshot)
    }
}
