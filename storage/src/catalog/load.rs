//! Makes a catalog, new or from a system tree.
//!
//! Invariant: what is loaded has no dangling ids, no cycles and no name twice, whatever bytes it was made from.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::edits::Edits;
use crate::catalog::forest::{Edge, Fate};
use crate::catalog::index::Index;
use crate::catalog::jobs::Phase;
use crate::catalog::layout::{self, PIECES_MAX};
use crate::catalog::{Catalog, Holder, NAME_MAX, Stage, codec};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, DecodeError, SnapshotId};
use crate::tree::{ItemRef, Key, NodeStore, Reader, Root};

impl Catalog {
    /// The catalog of a new pool.
    pub fn new() -> Self {
        let mut catalog = Self::unborn();
        (catalog.next_id, catalog.next_list) = (1, 1);
        catalog.edits.touch_counters();
        catalog
    }

    /// Reads the catalog from the system tree of `root`. `Corrupt` if its records are damaged or do not fit each other.
    pub fn load(nodes: &dyn NodeStore, root: &Root) -> Result<Self> {
        let mut loader = Loader { catalog: Self::unborn(), texts: BTreeMap::new() };
        let mut failure = None;
        Reader::new(nodes, *root).scan(layout::FIRST, layout::LAST, &mut |key, item| {
            failure = loader.take(key, item).err();
            failure.is_none()
        })?;
        match failure {
            Some(error) => Err(Error::from(error)),
            None => loader.finish(),
        }
        .map_err(|error| error.during("load the catalog"))
    }

    /// What nothing was read into yet.
    fn unborn() -> Self {
        Self {
            next_id: 0,
            next_list: 0,
            datasets: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            job: None,
            index: Index::default(),
            edits: Edits::default(),
        }
    }
}

struct Loader {
    catalog: Catalog,
    /// Pieces put together, by kind and id.
    texts: BTreeMap<(u8, u64), Vec<u8>>,
}

impl Loader {
    fn take(&mut self, key: Key, item: ItemRef<'_>) -> Result<(), DecodeError> {
        let ItemRef::Bytes(record) = item else { return Err(DecodeError::Field("catalog's item")) };
        match key.kind {
            layout::DATASET => {
                let dataset = codec::decode_dataset(record)?;
                self.catalog.datasets.insert(DatasetId(key.position), dataset);
            }
            layout::SNAPSHOT => {
                let snapshot = codec::decode_snapshot(record)?;
                self.catalog.snapshots.insert(SnapshotId(key.position), snapshot);
            }
            layout::USER_PROPERTIES | layout::HOLDS => {
                let text = self.texts.entry((key.kind, key.position / PIECES_MAX)).or_default();
                text.extend_from_slice(record);
            }
            layout::JOB => self.catalog.job = Some(codec::decode_job(record)?),
            layout::COUNTERS => {
                (self.catalog.next_id, self.catalog.next_list) = codec::decode_counters(record)?;
            }
            _ => return Err(DecodeError::Field("catalog's item")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Catalog> {
        self.distribute_texts()?;
        let Self { mut catalog, .. } = self;
        let index = &mut catalog.index;
        let mut is_sound = catalog.next_id > 0;
        catalog.datasets.iter().for_each(|(id, dataset)| is_sound &= index.enter_dataset(*id, dataset));
        catalog.snapshots.iter().for_each(|(id, snapshot)| is_sound &= index.enter_snapshot(*id, snapshot));
        is_sound = is_sound
            && catalog.datasets.keys().all(|id| catalog.is_sound_dataset(*id))
            && catalog.snapshots.keys().all(|id| catalog.is_sound_snapshot(*id))
            && catalog.has_sound_lists()
            && catalog.is_sound_job();
        if !is_sound {
            return Err(Error::new(ErrorKind::Corrupt, "the catalog's records contradict each other"));
        }
        catalog.forest().into_iter().for_each(|holder| catalog.review(holder));
        Ok(catalog)
    }

    fn distribute_texts(&mut self) -> Result<()> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "a text belongs to no record of the catalog");
        for ((kind, id), text) in &self.texts {
            let mut texts = codec::decode_texts(text)?.into_iter();
            if *kind == layout::HOLDS {
                let snapshot = self.catalog.snapshots.get_mut(&SnapshotId(*id)).ok_or_else(corrupt)?;
                snapshot.holds = texts.collect();
                continue;
            }
            let dataset = self.catalog.datasets.get_mut(&DatasetId(*id)).ok_or_else(corrupt)?;
            while let (Some(key), value) = (texts.next(), texts.next()) {
                dataset.properties.user.insert(key, value.ok_or_else(corrupt)?);
            }
        }
        Ok(())
    }
}

impl Catalog {
    fn is_sound_id(&self, id: u64) -> bool {
        id > 0 && id < self.next_id
    }

    fn is_sound_dataset(&self, id: DatasetId) -> bool {
        let dataset = &self.datasets[&id];
        self.is_sound_id(id.0)
            && !self.snapshots.contains_key(&SnapshotId(id.0))
            && dataset.head.as_ref().is_none_or(|head| self.is_sound_edge(head, Birth(u64::MAX)))
            && (dataset.head.is_some() || self.timeline(id).next().is_some())
            && self.has_sound_folders(id)
    }

    /// Whether the datasets above are live and no more than a name has parts.
    fn has_sound_folders(&self, id: DatasetId) -> bool {
        let mut folder = self.datasets[&id].folder;
        for _ in 0..NAME_MAX {
            let Some(id) = folder else { return true };
            let Some(above) = self.datasets.get(&id).filter(|above| above.fate == Fate::Live) else { return false };
            folder = above.folder;
        }
        false
    }

    fn is_sound_snapshot(&self, id: SnapshotId) -> bool {
        let snapshot = &self.snapshots[&id];
        let dataset = self.datasets.get(&snapshot.dataset);
        self.is_sound_id(id.0)
            && dataset.is_some_and(|dataset| dataset.fate != Fate::Purged || snapshot.fate == Fate::Purged)
            && (snapshot.holds.is_empty() || self.live_snapshot(id))
            && self.is_sound_edge(&snapshot.edge, snapshot.birth)
            && (!snapshot.sifted.is_hollow || snapshot.fate == Fate::Purged && self.index.family(id).children > 0)
            // Parents are made before their children, so there is no cycle.
            && snapshot.edge.parent.is_none_or(|parent| parent < id)
    }

    fn is_sound_edge(&self, edge: &Edge, birth: Birth) -> bool {
        let parent = edge.parent.map(|id| self.snapshots.get(&id));
        edge.list.id < self.next_list && parent.is_none_or(|parent| parent.is_some_and(|parent| parent.birth <= birth))
    }

    /// Whether no list is two holders', or one's and the job's.
    fn has_sound_lists(&self) -> bool {
        let of_job = self.job.and_then(|job| if let Phase::Sift(sift) = job.phase { Some(sift) } else { None });
        let mut lists: BTreeSet<u64> = of_job.iter().flat_map(|sift| [sift.found.id, sift.taken.id]).collect();
        let is_sound = of_job.is_none() || lists.len() == 2 && lists.iter().all(|id| *id < self.next_list);
        is_sound && self.forest().into_iter().all(|holder| self.list(holder).is_ok_and(|list| lists.insert(list.id)))
    }

    fn is_sound_job(&self) -> bool {
        let Some(job) = self.job else { return true };
        let children = match job.holder {
            Holder::Head(_) => 0,
            Holder::Snapshot(id) => self.index.family(id).children,
        };
        let fits = match (job.phase, job.holder) {
            (Phase::Walk(_) | Phase::Forget, holder) => {
                let parent = self.parent(holder).filter(|parent| self.is_hollow(Holder::Snapshot(*parent)));
                children == 0 && parent.is_none_or(|parent| self.index.family(parent).children > 1)
            }
            (Phase::Merge, _) => children == 1,
            (Phase::Sift(sift), Holder::Snapshot(id)) => {
                children > 1 && self.is_hollow(job.holder) && self.is_sound_stage(id, sift.stage)
            }
            (Phase::Sift(_), Holder::Head(_)) => false,
        };
        self.edge(job.holder).is_ok() && self.is_purged(job.holder) && fits
    }

    fn is_sound_stage(&self, id: SnapshotId, stage: Stage) -> bool {
        match stage {
            Stage::Find => true,
            Stage::Take { list, .. } | Stage::Drop { list } => self.index.children.contains_key(&(id, list)),
        }
    }
}
