//! The model of a pool: datasets and snapshots, each with a model of its files.
//!
//! Invariant: a copy shares all models, so a model in it is replaced, never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cow_storage::catalog::{DatasetInfo, Properties, SnapshotInfo, SyncMode};
use cow_storage::error::ErrorKind;
use cow_storage::format::{DatasetId, SnapshotId, Timestamp};
use cow_storage::pool::Listing;

use crate::model::Model;

/// Whether something can be used, undeleted, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Live,
    Destroyed(Timestamp),
    Purged,
}

#[derive(Clone)]
pub(super) struct Dataset {
    pub name: String,
    pub fate: Fate,
    pub created: Timestamp,
    pub properties: Properties,
    /// What its head goes back to last, whether it is still there or not.
    pub parent: Option<SnapshotId>,
    pub files: Arc<Model>,
}

#[derive(Clone)]
pub(super) struct Snapshot {
    pub dataset: DatasetId,
    pub name: String,
    pub fate: Fate,
    pub created: Timestamp,
    pub automatic: bool,
    pub holds: BTreeSet<String>,
    pub parent: Option<SnapshotId>,
    pub files: Arc<Model>,
    /// As the pool told it first: what the model cannot know of it never changes.
    pub told: Option<SnapshotInfo>,
}

#[derive(Clone)]
pub(super) struct World {
    pub datasets: BTreeMap<DatasetId, Dataset>,
    pub snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// The id that the next dataset or snapshot gets.
    pub next_id: u64,
}

impl Default for World {
    fn default() -> Self {
        Self { datasets: BTreeMap::new(), snapshots: BTreeMap::new(), next_id: 1 }
    }
}

impl World {
    pub fn live_datasets(&self) -> impl Iterator<Item = (DatasetId, &Dataset)> {
        self.datasets.iter().filter(|(_, dataset)| dataset.fate == Fate::Live).map(|(id, dataset)| (*id, dataset))
    }

    pub fn live_snapshots(&self) -> impl Iterator<Item = (SnapshotId, &Snapshot)> {
        self.snapshots.iter().filter(|(id, _)| self.is_live(**id)).map(|(id, snapshot)| (*id, snapshot))
    }

    /// Whether a snapshot was destroyed neither by itself nor with its dataset.
    pub fn is_live(&self, id: SnapshotId) -> bool {
        let snapshot = &self.snapshots[&id];
        snapshot.fate == Fate::Live && self.datasets[&snapshot.dataset].fate == Fate::Live
    }

    pub fn find_dataset(&self, name: &str) -> Result<DatasetId, ErrorKind> {
        self.live_datasets().find(|(_, dataset)| dataset.name == name).map(|(id, _)| id).ok_or(ErrorKind::NotFound)
    }

    pub fn find_snapshot(&self, name: &str) -> Result<SnapshotId, ErrorKind> {
        let (dataset, part) = name.split_once('@').ok_or(ErrorKind::Invalid)?;
        let dataset = self.find_dataset(dataset)?;
        let mut found = self.live_snapshots().filter(|(_, it)| it.dataset == dataset && it.name == part);
        found.next().map(|(id, _)| id).ok_or(ErrorKind::NotFound)
    }

    /// A snapshot's name with its dataset's.
    pub fn full_name(&self, id: SnapshotId) -> String {
        let snapshot = &self.snapshots[&id];
        format!("{}@{}", self.datasets[&snapshot.dataset].name, snapshot.name)
    }

    /// The name that something has, or had.
    pub fn name_of(&self, holder: Holder) -> String {
        match holder {
            Holder::Dataset(id) => self.datasets[&id].name.clone(),
            Holder::Snapshot(id) => self.full_name(id),
        }
    }

    /// All snapshots that something goes back to, nearest first.
    pub fn ancestors(&self, parent: Option<SnapshotId>) -> impl Iterator<Item = SnapshotId> + '_ {
        let before = |id: &SnapshotId| self.snapshots[id].parent;
        std::iter::successors(parent, before).filter(|id| self.is_live(*id))
    }

    /// The live datasets whose names begin with this one's and a slash.
    pub fn below(&self, id: DatasetId) -> Vec<DatasetId> {
        let front = format!("{}/", self.datasets[&id].name);
        self.live_datasets().filter(|(_, dataset)| dataset.name.starts_with(&front)).map(|(id, _)| id).collect()
    }

    pub fn waits_for_sync(&self, id: DatasetId) -> bool {
        self.datasets[&id].properties.sync == SyncMode::Standard
    }

    /// Puts a changed model in a dataset's place.
    pub fn set_files(&mut self, id: DatasetId, files: Model) {
        self.datasets.get_mut(&id).expect("the history knows it").files = Arc::new(files);
    }

    /// Gives every live head a model of its own, which nobody has open and where no quota or property refuses anything.
    pub fn unbound(&self) -> Self {
        let mut world = self.clone();
        for dataset in world.datasets.values_mut() {
            let files = dataset.files.fork();
            files.release_all();
            files.set_quota(None);
            dataset.files = Arc::new(files);
        }
        world
    }

    /// Lets quotas and properties count again.
    pub fn bind(&mut self) {
        for dataset in self.datasets.values_mut() {
            dataset.files.set_quota(dataset.properties.quota);
            dataset.files.set_read_only(dataset.properties.readonly);
        }
    }

    /// What the pool should list, where `found` tells what the model cannot know.
    pub fn listing(&self, found: &Listing) -> Listing {
        let mut datasets: Vec<_> = self.live_datasets().map(|(id, _)| self.dataset_info(id, found)).collect();
        datasets.sort_by(|one, other| one.name.cmp(&other.name));
        let of = |id| self.live_snapshots().filter(move |(_, snapshot)| snapshot.dataset == id);
        let snapshots = datasets.iter().flat_map(|dataset| of(dataset.id)).map(|(id, _)| self.snapshot_info(id, found));
        Listing { snapshots: snapshots.collect(), datasets }
    }

    /// What the pool should say can be undeleted.
    pub fn destroyed(&self, found: &Listing) -> Listing {
        let mut listing = Listing::default();
        for (_, holder) in self.awaiting() {
            match holder {
                Holder::Dataset(id) => listing.datasets.push(self.dataset_info(id, found)),
                Holder::Snapshot(id) if self.datasets[&self.snapshots[&id].dataset].fate == Fate::Live => {
                    listing.snapshots.push(self.snapshot_info(id, found));
                }
                Holder::Snapshot(_) => {}
            }
        }
        listing
    }

    /// What can be undeleted, longest destroyed first.
    pub fn awaiting(&self) -> Vec<(Timestamp, Holder)> {
        let datasets = self.datasets.iter().map(|(id, dataset)| (dataset.fate, Holder::Dataset(*id)));
        let snapshots = self.snapshots.iter().map(|(id, snapshot)| (snapshot.fate, Holder::Snapshot(*id)));
        let since = |(fate, holder)| if let Fate::Destroyed(since) = fate { Some((since, holder)) } else { None };
        let mut awaiting: Vec<_> = datasets.chain(snapshots).filter_map(since).collect();
        awaiting.sort();
        awaiting
    }

    pub fn dataset_info(&self, id: DatasetId, found: &Listing) -> DatasetInfo {
        let dataset = &self.datasets[&id];
        let referenced = found.datasets.iter().find(|info| info.id == id).map_or(0, |info| info.referenced);
        DatasetInfo {
            id,
            name: dataset.name.clone(),
            properties: dataset.properties.clone(),
            origin: self.ancestors(dataset.parent).next(),
            created: dataset.created,
            referenced,
            destroyed: since(dataset.fate),
        }
    }

    pub fn snapshot_info(&self, id: SnapshotId, found: &Listing) -> SnapshotInfo {
        let snapshot = &self.snapshots[&id];
        let told = snapshot.told.as_ref().or_else(|| found.snapshots.iter().find(|info| info.id == id));
        SnapshotInfo {
            id,
            dataset: snapshot.dataset,
            name: snapshot.name.clone(),
            created: snapshot.created,
            birth: told.map_or_else(Default::default, |told| told.birth),
            root_hash: told.map_or_else(Default::default, |told| told.root_hash),
            parent: self.ancestors(snapshot.parent).next(),
            referenced: told.map_or(0, |told| told.referenced),
            holds: snapshot.holds.iter().cloned().collect(),
            automatic: snapshot.automatic,
            destroyed: since(snapshot.fate).or(since(self.datasets[&snapshot.dataset].fate)),
        }
    }
}

/// A dataset or a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    Dataset(DatasetId),
    Snapshot(SnapshotId),
}

fn since(fate: Fate) -> Option<Timestamp> {
    if let Fate::Destroyed(since) = fate { Some(since) } else { None }
}
