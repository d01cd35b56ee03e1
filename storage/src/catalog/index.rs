//! What follows from the records: who has a name, who belongs to whom, who waits for what.
//!
//! Invariant: it is the same when it is built anew from the records.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::forest::{Dataset, Fate, Snapshot};
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
    /// The forest, from parent to child.
    pub children: BTreeSet<(SnapshotId, Holder)>,
    /// What can be undeleted or purged, longest destroyed first. A head stands for its dataset.
    pub awaiting: BTreeSet<(Timestamp, Holder)>,
    /// Purged holders without children, whose job has not begun.
    pub leaves: BTreeSet<Holder>,
    /// Purged holders with one child, whose job has not begun. Ancestors first, for then each entry of a chain
    /// of dead lists is read once.
    pub merges: BTreeSet<(Birth, SnapshotId)>,
}

impl Index {
    /// Enters a record. Returns false if it contradicts another.
    pub fn enter_dataset(&mut self, id: DatasetId, dataset: &Dataset) -> bool {
        if let Some(parent) = dataset.head.as_ref().and_then(|head| head.parent) {
            self.children.insert((parent, Holder::Head(id)));
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
        if let Some(parent) = snapshot.edge.parent {
            self.children.insert((parent, Holder::Snapshot(id)));
        }
        match snapshot.fate {
            Fate::Live => self.snapshots.insert((snapshot.dataset, snapshot.name.clone()), id).is_none(),
            Fate::Destroyed(since) => self.awaiting.insert((since, Holder::Snapshot(id))),
            Fate::Purged => true,
        }
    }
}

impl Catalog {
    /// Notes whether a holder that was purged or lost a child can be reclaimed.
    pub(in crate::catalog) fn review(&mut self, holder: Holder) {
        if !self.is_purged(holder) || self.edge(holder).is_err() || self.job.is_some_and(|job| job.holder == holder) {
            return;
        }
        match holder {
            Holder::Head(_) => _ = self.index.leaves.insert(holder),
            Holder::Snapshot(id) => {
                let birth = self.birth(Some(id));
                self.index.merges.remove(&(birth, id));
                match self.children(id).take(2).count() {
                    0 => _ = self.index.leaves.insert(holder),
                    1 => _ = self.index.merges.insert((birth, id)),
                    _ => {}
                }
            }
        }
    }

    /// The snapshots of a dataset, hidden ones included.
    pub(in crate::catalog) fn timeline(&self, dataset: DatasetId) -> impl Iterator<Item = SnapshotId> + '_ {
        let ids = (dataset, SnapshotId(0))..=(dataset, SnapshotId(u64::MAX));
        self.index.timelines.range(ids).map(|(_, snapshot)| *snapshot)
    }
}
