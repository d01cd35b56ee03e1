//! What lives, by dataset, and what once had a name.

use crate::catalog::{Catalog, Holder};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, SnapshotId};

impl Catalog {
    /// Whether a head or snapshot exists and is not destroyed.
    pub fn lives(&self, holder: Holder) -> bool {
        match holder {
            Holder::Head(id) => self.live_dataset(id),
            Holder::Snapshot(id) => self.live_snapshot(id),
        }
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
