//! What can be asked of the catalog.
//!
//! Invariant: names lead only to what is live; ids lead also to what is destroyed, until it is reclaimed.

use crate::catalog::forest::{Dataset, Fate, Snapshot};
use crate::catalog::{Catalog, DatasetInfo, Holder, Properties, SnapshotInfo, State};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Checksum, DatasetId, SnapshotId, Timestamp};

impl Catalog {
    /// The live dataset of this name.
    pub fn find_dataset(&self, name: &str) -> Result<DatasetId> {
        let mut found = None;
        for part in name.split('/') {
            found = self.index.datasets.get(&(found, part.to_owned())).copied();
            if found.is_none() {
                break;
            }
        }
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no dataset {name}")))
    }

    /// The live snapshot of this name, as in `a/b@s`.
    pub fn find_snapshot(&self, name: &str) -> Result<SnapshotId> {
        let Some((dataset, part)) = name.split_once('@') else {
            return Err(Error::new(ErrorKind::Invalid, format!("{name} names no snapshot: write dataset@snapshot")));
        };
        let snapshot = self.index.snapshots.get(&(self.find_dataset(dataset)?, part.to_owned()));
        snapshot.copied().ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no snapshot {name}")))
    }

    /// What a name leads to: a head, or with an `@` a snapshot.
    pub fn resolve(&self, name: &str) -> Result<Holder> {
        if name.contains('@') {
            self.find_snapshot(name).map(Holder::Snapshot)
        } else {
            self.find_dataset(name).map(Holder::Head)
        }
    }

    /// What a head or snapshot holds, destroyed or not.
    pub fn state(&self, holder: Holder) -> Result<&State> {
        Ok(&self.edge(holder)?.state)
    }

    /// The dataset that a holder belongs to.
    pub fn dataset_of(&self, holder: Holder) -> Result<DatasetId> {
        match holder {
            Holder::Head(id) => self.dataset(id).map(|_| id),
            Holder::Snapshot(id) => self.snapshot(id).map(|snapshot| snapshot.dataset),
        }
    }

    /// The properties of a dataset, destroyed or not. They stay as long as one of its snapshots does.
    pub fn properties(&self, id: DatasetId) -> Result<&Properties> {
        Ok(&self.dataset(id)?.properties)
    }

    /// Whether a dataset exists and is not destroyed.
    pub fn live_dataset(&self, id: DatasetId) -> bool {
        self.datasets.get(&id).is_some_and(|dataset| dataset.fate == Fate::Live)
    }

    /// Whether a snapshot exists, and neither it nor its dataset is destroyed.
    pub fn live_snapshot(&self, id: SnapshotId) -> bool {
        let snapshot = self.snapshots.get(&id).filter(|snapshot| snapshot.fate == Fate::Live);
        snapshot.is_some_and(|snapshot| self.live_dataset(snapshot.dataset))
    }

    /// A dataset, destroyed or not.
    pub fn dataset_info(&self, id: DatasetId) -> Result<DatasetInfo> {
        let dataset = self.dataset(id)?;
        Ok(DatasetInfo {
            id,
            name: self.name_of(id),
            properties: dataset.properties.clone(),
            origin: self.origin(id),
            created: dataset.created,
            referenced: dataset.head.as_ref().map_or(0, |head| head.state.referenced),
            destroyed: since(dataset.fate),
        })
    }

    /// A snapshot, destroyed or not.
    pub fn snapshot_info(&self, id: SnapshotId) -> Result<SnapshotInfo> {
        let snapshot = self.snapshot(id)?;
        let State { root, referenced, .. } = snapshot.edge.state;
        let with_dataset = self.datasets.get(&snapshot.dataset).and_then(|dataset| since(dataset.fate));
        Ok(SnapshotInfo {
            id,
            dataset: snapshot.dataset,
            name: snapshot.name.clone(),
            created: snapshot.created,
            birth: snapshot.birth,
            root_hash: root.pointer.map_or(Checksum::default(), |pointer| pointer.hash),
            parent: self.live_ancestors(Holder::Snapshot(id)).next(),
            referenced,
            holds: snapshot.holds.iter().cloned().collect(),
            automatic: snapshot.automatic,
            destroyed: since(snapshot.fate).or(with_dataset),
        })
    }

    /// A snapshot's full name, as in `a/b@s`.
    pub fn snapshot_name(&self, id: SnapshotId) -> Result<String> {
        let snapshot = self.snapshot(id)?;
        Ok(format!("{}@{}", self.name_of(snapshot.dataset), snapshot.name))
    }

    /// The live snapshots that a holder goes back to, nearest first: of its own timeline, and then its origin's.
    pub fn ancestors(&self, holder: Holder) -> Vec<SnapshotId> {
        self.live_ancestors(holder).collect()
    }

    /// The live snapshot that a dataset's head goes back to last: of a clone without snapshots, what it was cloned from.
    pub fn origin(&self, id: DatasetId) -> Option<SnapshotId> {
        self.live_ancestors(Holder::Head(id)).next()
    }

    fn live_ancestors(&self, holder: Holder) -> impl Iterator<Item = SnapshotId> + '_ {
        std::iter::successors(self.parent(holder), |id| self.parent(Holder::Snapshot(*id)))
            .filter(|id| self.live_snapshot(*id))
    }

    /// Live datasets by name.
    pub fn list_datasets(&self) -> Vec<DatasetInfo> {
        let live = self.datasets.keys().filter(|id| self.live_dataset(**id));
        let mut infos: Vec<DatasetInfo> = live.filter_map(|id| self.dataset_info(*id).ok()).collect();
        infos.sort_by(|one, other| one.name.cmp(&other.name));
        infos
    }

    /// Live snapshots by the dataset's name, then creation.
    pub fn list_snapshots(&self) -> Vec<SnapshotInfo> {
        let timelines = self.list_datasets().into_iter().flat_map(|dataset| self.timeline(dataset.id));
        timelines.filter(|id| self.live_snapshot(*id)).filter_map(|id| self.snapshot_info(id).ok()).collect()
    }

    /// Destroyed datasets that can be undeleted, longest destroyed first. Their names are those they had.
    pub fn destroyed_datasets(&self) -> Vec<DatasetInfo> {
        let awaiting = self.index.awaiting.iter();
        awaiting
            .filter_map(|(_, holder)| if let Holder::Head(id) = holder { self.dataset_info(*id).ok() } else { None })
            .collect()
    }

    /// Destroyed snapshots of live datasets that can be undeleted, longest destroyed first.
    pub fn destroyed_snapshots(&self) -> Vec<SnapshotInfo> {
        let snapshot = |holder| if let Holder::Snapshot(id) = holder { self.snapshot_info(id).ok() } else { None };
        let infos = self.index.awaiting.iter().filter_map(|(_, holder)| snapshot(*holder));
        infos.filter(|info| self.live_dataset(info.dataset)).collect()
    }

    /// The live datasets whose names begin with this one's and a slash, by name. None if there is no such dataset.
    pub fn datasets_below(&self, name: &str) -> Vec<DatasetId> {
        self.find_dataset(name).map_or_else(|_| Vec::new(), |id| self.below(id))
    }

    /// Every head and snapshot that owns pointers, destroyed and hidden ones included, but for the one whose
    /// reclaiming is under way: that one's tree is not whole any more.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders = self.forest();
        holders.retain(|holder| self.job.is_none_or(|job| job.holder != *holder));
        holders
    }

    /// Every head and snapshot there is.
    pub(crate) fn forest(&self) -> Vec<Holder> {
        let heads = self.datasets.iter().filter(|(_, dataset)| dataset.head.is_some());
        let snapshots = self.snapshots.keys().map(|id| Holder::Snapshot(*id));
        heads.map(|(id, _)| Holder::Head(*id)).chain(snapshots).collect()
    }

    /// A dataset's head and snapshots, or a snapshot: what goes when it is destroyed and purged.
    pub(crate) fn family(&self, holder: Holder) -> Vec<Holder> {
        match holder {
            Holder::Head(id) => [holder].into_iter().chain(self.timeline(id).map(Holder::Snapshot)).collect(),
            Holder::Snapshot(_) => vec![holder],
        }
    }

    /// The live datasets below, in the order of their names.
    pub(in crate::catalog) fn below(&self, id: DatasetId) -> Vec<DatasetId> {
        let mut found = Vec::new();
        let in_folder = (Some(id), String::new())..(Some(DatasetId(id.0 + 1)), String::new());
        for (_, below) in self.index.datasets.range(in_folder) {
            found.push(*below);
            found.extend(self.below(*below));
        }
        found
    }

    /// A dataset's name; once destroyed, the one it had. Empty if there is no such dataset.
    pub(in crate::catalog) fn name_of(&self, id: DatasetId) -> String {
        let Some(dataset) = self.datasets.get(&id) else { return String::new() };
        match dataset.folder {
            Some(folder) => format!("{}/{}", self.name_of(folder), dataset.name),
            None => dataset.name.clone(),
        }
    }

    /// The name of a dataset that is not destroyed.
    pub(in crate::catalog) fn live_name(&self, id: DatasetId) -> Result<String> {
        match self.live_dataset(id) {
            true => Ok(self.name_of(id)),
            false => Err(Error::new(ErrorKind::NotFound, "the dataset does not exist any more")),
        }
    }

    fn dataset(&self, id: DatasetId) -> Result<&Dataset> {
        let dataset = self.datasets.get(&id);
        dataset.ok_or_else(|| Error::new(ErrorKind::NotFound, "the dataset does not exist any more"))
    }

    fn snapshot(&self, id: SnapshotId) -> Result<&Snapshot> {
        let snapshot = self.snapshots.get(&id);
        snapshot.ok_or_else(|| Error::new(ErrorKind::NotFound, "the snapshot does not exist any more"))
    }
}

fn since(fate: Fate) -> Option<Timestamp> {
    match fate {
        Fate::Destroyed(since) => Some(since),
        _ => None,
    }
}
