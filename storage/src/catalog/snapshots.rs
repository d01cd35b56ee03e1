//! What can be done to snapshots, and with them: clone, rewind.
//!
//! Invariant: a new snapshot takes its head's place in the forest, with the head's dead list, and the head becomes its
//! child. Everything is checked before anything is changed.

use crate::catalog::forest::{Fate, Snapshot};
use crate::catalog::properties::{self, TEXTS_MAX};
use crate::catalog::{Catalog, Holder, PropertyChange, State, codec, names};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, SnapshotId, Timestamp};

impl Catalog {
    /// Fails unless [`Self::snapshot_head`] would succeed: `NotFound`, `Invalid`, `NameTooLong` or `Exists`.
    pub fn check_new_snapshot(&self, dataset: DatasetId, name: &str) -> Result<()> {
        names::check_snapshot(name)?;
        let above = self.live_name(dataset)?;
        if self.index.snapshots.contains_key(&(dataset, name.to_owned())) {
            return Err(Error::new(ErrorKind::Exists, format!("there is a snapshot {above}@{name} already")));
        }
        Ok(())
    }

    /// Makes a snapshot of a head. `birth` is the number of this commit: nothing that the head holds was born later, and
    /// all that it gets from now on must be.
    pub fn snapshot_head(
        &mut self,
        dataset: DatasetId,
        name: &str,
        birth: Birth,
        now: Timestamp,
    ) -> Result<SnapshotId> {
        self.check_new_snapshot(dataset, name)?;
        self.add_snapshot(dataset, name.to_owned(), birth, false, now)
    }

    fn add_snapshot(
        &mut self,
        dataset: DatasetId,
        name: String,
        birth: Birth,
        automatic: bool,
        now: Timestamp,
    ) -> Result<SnapshotId> {
        let head = Holder::Head(dataset);
        let edge = self.edge(head)?.clone();
        let (id, list) = (SnapshotId(self.new_id()), self.new_list());
        self.change_edge(head, |edge| (edge.parent, edge.list) = (Some(id), list))?;
        let (fate, holds, sifted) = (Fate::Live, Default::default(), Default::default());
        let parent = edge.parent;
        let snapshot = Snapshot { fate, created: now, dataset, name, birth, automatic, holds, edge, sifted };
        self.index.enter_snapshot(id, &snapshot);
        self.snapshots.insert(id, snapshot);
        self.edits.touch(Holder::Snapshot(id));
        // It has taken its head's place.
        parent.into_iter().for_each(|parent| self.review_sift(parent));
        Ok(id)
    }

    /// Makes a dataset with a snapshot's content, and the properties of the snapshot's dataset but for `change`.
    pub fn clone_snapshot(
        &mut self,
        snapshot: SnapshotId,
        name: &str,
        change: &PropertyChange,
        now: Timestamp,
    ) -> Result<DatasetId> {
        let origin = self.live(snapshot)?;
        let state = origin.edge.state;
        let properties = properties::changed(self.properties(origin.dataset)?, change)?;
        self.add_dataset(name, properties, state, Some(snapshot), now)
    }

    /// Sets a head to a snapshot's content, after an automatic snapshot of what it has, which is returned. The target is on the
    /// dataset's own timeline or one that this goes back to, else `Invalid`. `birth` is the number of this commit.
    pub fn rewind(&mut self, dataset: DatasetId, to: SnapshotId, birth: Birth, now: Timestamp) -> Result<SnapshotId> {
        let name = self.live_name(dataset)?;
        let target = self.live(to)?;
        let target_state = target.edge.state;
        let head = Holder::Head(dataset);
        if target.dataset != dataset && !self.ancestors(head).contains(&to) {
            let target = self.snapshot_name(to)?;
            let advice = format!("{name} never was at {target}: clone that instead");
            return Err(Error::new(ErrorKind::Invalid, advice));
        }
        let automatic = self.add_snapshot(dataset, self.name_before_rewind(dataset), birth, true, now)?;
        let held = &mut self.edge_mut(head)?.state;
        *held = State { next_inode: held.next_inode.max(target_state.next_inode), ..target_state };
        self.adopt(head, Some(to))?;
        Ok(automatic)
    }

    fn name_before_rewind(&self, dataset: DatasetId) -> String {
        let names = (1u64..).map(|number| format!("before-rewind-{number}"));
        let mut free = names.filter(|name| !self.index.snapshots.contains_key(&(dataset, name.clone())));
        free.next().expect("a dataset has less than 2^64 snapshots")
    }

    /// Gives a snapshot another name, which is the part after the `@`.
    pub fn rename_snapshot(&mut self, id: SnapshotId, to: &str) -> Result<()> {
        let snapshot = self.live(id)?;
        let (dataset, from) = (snapshot.dataset, snapshot.name.clone());
        if from == to {
            return Ok(());
        }
        self.check_new_snapshot(dataset, to)?;
        self.index.snapshots.remove(&(dataset, from));
        self.index.snapshots.insert((dataset, to.to_owned()), id);
        self.change(id, |snapshot| snapshot.name = to.to_owned());
        Ok(())
    }

    /// Destroys a snapshot; `Busy` if it has holds. It can be undeleted until it is purged, and its name is free at once.
    pub fn destroy_snapshot(&mut self, id: SnapshotId, now: Timestamp) -> Result<()> {
        let snapshot = self.live(id)?;
        self.check_not_held(id)?;
        self.index.snapshots.remove(&(snapshot.dataset, snapshot.name.clone()));
        self.index.awaiting.insert((now, Holder::Snapshot(id)));
        self.change(id, |snapshot| snapshot.fate = Fate::Destroyed(now));
        Ok(())
    }

    /// Takes back the destruction of a snapshot, whose dataset must be live. `to` is its new name after the `@`.
    pub fn undelete_snapshot(&mut self, id: SnapshotId, to: Option<&str>) -> Result<()> {
        let snapshot = self.snapshots.get(&id);
        let Some((snapshot, since)) = snapshot.and_then(|snapshot| match snapshot.fate {
            Fate::Destroyed(since) => Some((snapshot, since)),
            _ => None,
        }) else {
            return Err(Error::new(ErrorKind::NotFound, "no such snapshot waits to be undeleted"));
        };
        let (dataset, name) = (snapshot.dataset, to.unwrap_or(&snapshot.name).to_owned());
        if !self.live_dataset(dataset) {
            let message = format!("the dataset of snapshot {name} is destroyed: undelete that first");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        self.check_new_snapshot(dataset, &name)
            .map_err(|error| error.during(format!("undelete snapshot {name}; another name is possible")))?;
        self.index.snapshots.insert((dataset, name.clone()), id);
        self.index.awaiting.remove(&(since, Holder::Snapshot(id)));
        self.change(id, |snapshot| (snapshot.fate, snapshot.name) = (Fate::Live, name));
        Ok(())
    }

    /// Keeps a snapshot from being destroyed, until all holds are released. `Exists` if it has a hold of this name.
    pub fn hold(&mut self, id: SnapshotId, tag: &str) -> Result<()> {
        names::check_snapshot(tag)?;
        let snapshot = self.live(id)?;
        if snapshot.holds.contains(tag) {
            return Err(Error::new(ErrorKind::Exists, format!("the snapshot has a hold {tag} already")));
        }
        if codec::encode_texts(snapshot.holds.iter().chain([&tag.to_owned()])).len() > TEXTS_MAX {
            return Err(Error::new(ErrorKind::Invalid, "the snapshot has too many holds: release some first"));
        }
        self.change(id, |snapshot| _ = snapshot.holds.insert(tag.to_owned()));
        self.edits.touch_holds(id);
        Ok(())
    }

    /// Takes a hold away. `NotFound` if there is none of this name.
    pub fn release_hold(&mut self, id: SnapshotId, tag: &str) -> Result<()> {
        if !self.live(id)?.holds.contains(tag) {
            return Err(Error::new(ErrorKind::NotFound, format!("the snapshot has no hold {tag}")));
        }
        self.change(id, |snapshot| _ = snapshot.holds.remove(tag));
        self.edits.touch_holds(id);
        Ok(())
    }

    pub(in crate::catalog) fn check_not_held(&self, id: SnapshotId) -> Result<()> {
        let Some(hold) = self.snapshots.get(&id).and_then(|snapshot| snapshot.holds.first()) else { return Ok(()) };
        let name = self.snapshot_name(id)?;
        Err(Error::new(ErrorKind::Busy, format!("{name} is held by {hold}: release that first")))
    }

    /// A snapshot that was destroyed neither by itself nor with its dataset.
    pub(in crate::catalog) fn live(&self, id: SnapshotId) -> Result<&Snapshot> {
        let snapshot = self.snapshots.get(&id).filter(|_| self.live_snapshot(id));
        snapshot.ok_or_else(|| Error::new(ErrorKind::NotFound, "the snapshot does not exist any more"))
    }

    fn change(&mut self, id: SnapshotId, change: impl FnOnce(&mut Snapshot)) {
        if let Some(snapshot) = self.snapshots.get_mut(&id) {
            change(snapshot);
        }
        self.edits.touch(Holder::Snapshot(id));
    }
}
