//! What lives, by dataset, and what once had a name.

use crate::catalog::forest::Fate;
use crate::catalog::{Catalog, Holder};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, SnapshotId, Timestamp};

impl Catalog {
    /// Whether a head or snapshot exists and is not destroyed.
    pub fn lives(&self, holder: Holder) -> bool {
        match holder {
            Holder::Head(id) => self.live_dataset(id),
            Holder::Snapshot(id) => self.live_snapshot(id),
        }
    }

    /// A live dataset's head and live snapshots, the head first and then the newest; or a live snapshot.
    pub fn live_family(&self, holder: Holder) -> Vec<Holder> {
        let mut family = self.family(holder);
        family.retain(|holder| self.lives(*holder));
        family.sort_by_key(|holder| (matches!(holder, Holder::Snapshot(_)), std::cmp::Reverse(*holder)));
        family
    }

    /// What can be undeleted or purged, and since when, longest destroyed first. A head stands for its dataset.
    pub fn awaiting(&self) -> Vec<(Timestamp, Holder)> {
        self.index.awaiting.iter().copied().collect()
    }

    /// Logical bytes of all live heads and snapshots, as if nothing was shared.
    pub fn logical(&self) -> u64 {
        let live = self.datasets.values().filter(|dataset| dataset.fate == Fate::Live);
        let heads = live.filter_map(|dataset| dataset.head.as_ref());
        let snapshots = self.snapshots.values();
        let live = snapshots.filter(|snapshot| snapshot.fate == Fate::Live && self.live_dataset(snapshot.dataset));
        heads.chain(live.map(|snapshot| &snapshot.edge)).map(|edge| edge.state.referenced).sum()
    }

    /// Logical bytes of a live dataset's head and live snapshots, as if nothing was shared.
    pub fn logical_of(&self, dataset: DatasetId) -> u64 {
        let snapshots = self.timeline(dataset).map(Holder::Snapshot);
        let holders = [Holder::Head(dataset)].into_iter().chain(snapshots).filter(|holder| self.lives(*holder));
        holders.filter_map(|holder| Some(self.state(holder).ok()?.referenced)).sum()
    }

    /// The name of a head or snapshot, or the one that it had; none if there is no such one.
    pub fn full_name(&self, holder: Holder) -> Option<String> {
        match holder {
            Holder::Head(id) => self.dataset_info(id).ok().map(|info| info.name),
            Holder::Snapshot(id) => self.snapshot_name(id).ok(),
        }
    }

    /// Bytes in a block of a head or snapshot; none if there is no such one.
    pub fn block_size(&self, holder: Holder) -> Option<u32> {
        let dataset = self.dataset_of(holder).ok()?;
        self.properties(dataset).ok().map(|properties| properties.block_size)
    }

    /// The live snapshots of a live dataset by name, oldest first. `Stale` if the dataset is gone.
    pub fn snapshots_of(&self, dataset: DatasetId) -> Result<Vec<(String, SnapshotId)>> {
        if !self.live_dataset(dataset) {
            return Err(Error::new(ErrorKind::Stale, "the dataset does not exist any more"));
        }
        let live = self.timeline(dataset).filter(|id| self.live_snapshot(*id));
        Ok(live.filter_map(|id| Some((self.snapshots.get(&id)?.name.clone(), id))).collect())
    }

    /// The live snapshot of a live dataset that has this name.
    pub fn snapshot_named(&self, dataset: DatasetId, name: &str) -> Result<SnapshotId> {
        let found = self.index.snapshots.get(&(dataset, name.to_owned())).filter(|_| self.live_dataset(dataset));
        found.copied().ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no snapshot {name}")))
    }

    /// What waits to be undeleted and had this name; of several the one that was destroyed last.
    pub fn find_destroyed(&self, name: &str) -> Result<Holder> {
        let had_it = |holder: &Holder| match holder {
            Holder::Head(id) => self.name_of(*id) == name,
            Holder::Snapshot(id) => self.snapshot_name(*id).is_ok_and(|found| found == name),
        };
        let found = self.index.awaiting.iter().rev().map(|(_, holder)| *holder).find(had_it);
        found.ok_or_else(|| {
            let message = format!("nothing named {name} waits to be undeleted: it was purged, or never destroyed");
            Error::new(ErrorKind::NotFound, message)
        })
    }
}
