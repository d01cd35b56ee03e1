//! What verbs do to the model of a pool.
//!
//! Invariant: a verb that fails changes nothing.

use std::sync::Arc;

use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::error::ErrorKind::{self, Busy, Exists, Invalid, NameTooLong, NotEmpty, NotFound};
use cow_storage::format::{DatasetId, SnapshotId, Timestamp};
use cow_storage::pool::Listing;

use crate::history::world::Holder;
use crate::history::{Dataset, Fate, Snapshot, Verb, VerbAnswer, World};
use crate::model::Model;

const NAME_MAX: usize = 255;

impl World {
    /// Does a verb. Where the pool has answered, `found` has what the model cannot know.
    pub fn act(&mut self, verb: &Verb, now: Timestamp, found: &Listing) -> Result<VerbAnswer, ErrorKind> {
        match verb {
            Verb::Create { name, properties } => {
                check_properties(properties)?;
                self.check_free(name)?;
                let files = Model::new(properties.block_size, properties.quota, now);
                let id = self.add_dataset(name, properties, None, files, now);
                Ok(VerbAnswer::Dataset(self.dataset_info(id, found)))
            }
            Verb::Rename { name, to } => {
                self.rename(name, to).map(|id| VerbAnswer::Dataset(self.dataset_info(id, found)))
            }
            Verb::Set { name, change } => {
                let id = self.find_dataset(name)?;
                let properties = changed(&self.datasets[&id].properties, change)?;
                self.set_properties(id, properties);
                Ok(VerbAnswer::Dataset(self.dataset_info(id, found)))
            }
            Verb::Snapshot(names) => self.snapshot(names, now).map(|ids| self.snapshots_answer(&ids, found)),
            Verb::RenameSnapshot { snapshot, to } => {
                let id = self.find_snapshot(snapshot)?;
                if self.snapshots[&id].name != *to {
                    self.check_new_snapshot(self.snapshots[&id].dataset, to)?;
                }
                self.change(id, |snapshot| snapshot.name.clone_from(to));
                Ok(self.snapshots_answer(&[id], found))
            }
            Verb::Clone { snapshot, name, change } => {
                let id = self.clone_snapshot(snapshot, name, change, now)?;
                Ok(VerbAnswer::Dataset(self.dataset_info(id, found)))
            }
            Verb::Rewind { name, to } => self.rewind(name, to, now).map(|id| self.snapshots_answer(&[id], found)),
            Verb::Destroy { names, recursive } => self.destroy_each(names, *recursive, now),
            Verb::Undelete { name, to } => self.undelete(name, to.as_deref()).map(|()| VerbAnswer::Nothing),
            Verb::Purge { before } => Ok(VerbAnswer::Count(self.purge(*before))),
            Verb::Hold { snapshot, tag } => self.hold(snapshot, tag).map(|()| VerbAnswer::Nothing),
            Verb::Release { snapshot, tag } => {
                let id = self.find_snapshot(snapshot)?;
                if !self.snapshots[&id].holds.contains(tag) {
                    return Err(NotFound);
                }
                self.change(id, |snapshot| snapshot.holds.retain(|held| held != tag));
                Ok(VerbAnswer::Nothing)
            }
        }
    }

    fn snapshots_answer(&self, ids: &[SnapshotId], found: &Listing) -> VerbAnswer {
        VerbAnswer::Snapshots(ids.iter().map(|id| self.snapshot_info(*id, found)).collect())
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn change(&mut self, id: SnapshotId, change: impl FnOnce(&mut Snapshot)) {
        change(self.snapshots.get_mut(&id).expect("found before"));
    }

    fn change_dataset(&mut self, id: DatasetId, change: impl FnOnce(&mut Dataset)) {
        change(self.datasets.get_mut(&id).expect("found before"));
    }

    /// Fails unless a dataset can get this name.
    fn check_free(&self, name: &str) -> Result<(), ErrorKind> {
        check_name(name, name.split('/'))?;
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.find_dataset(parent)?;
        }
        if self.find_dataset(name).is_ok() { Err(Exists) } else { Ok(()) }
    }

    fn check_new_snapshot(&self, dataset: DatasetId, name: &str) -> Result<(), ErrorKind> {
        check_name(name, [name].into_iter())?;
        let taken = self.live_snapshots().any(|(_, it)| it.dataset == dataset && it.name == name);
        if taken { Err(Exists) } else { Ok(()) }
    }

    fn add_dataset(
        &mut self,
        name: &str,
        properties: &Properties,
        parent: Option<SnapshotId>,
        files: Model,
        created: Timestamp,
    ) -> DatasetId {
        let id = DatasetId(self.new_id());
        files.set_quota(properties.quota);
        files.set_read_only(properties.readonly);
        let (name, properties, files) = (name.to_owned(), properties.clone(), Arc::new(files));
        self.datasets.insert(id, Dataset { name, fate: Fate::Live, created, properties, parent, files });
        id
    }

    fn rename(&mut self, name: &str, to: &str) -> Result<DatasetId, ErrorKind> {
        let id = self.find_dataset(name)?;
        if name == to {
            return Ok(id);
        }
        if to.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')) {
            return Err(Invalid);
        }
        self.check_free(to)?;
        let below = self.below(id);
        let renamed = |present: &str| format!("{to}{}", &present[name.len()..]);
        if below.iter().any(|below| renamed(&self.datasets[below].name).len() > NAME_MAX) {
            return Err(NameTooLong);
        }
        for id in below.into_iter().chain([id]) {
            self.change_dataset(id, |dataset| dataset.name = renamed(&dataset.name));
        }
        Ok(id)
    }

    fn set_properties(&mut self, id: DatasetId, properties: Properties) {
        let files = self.datasets[&id].files.copy();
        files.set_quota(properties.quota);
        files.set_read_only(properties.readonly);
        self.set_files(id, files);
        self.change_dataset(id, |dataset| dataset.properties = properties);
    }

    fn snapshot(&mut self, names: &[(String, String)], now: Timestamp) -> Result<Vec<SnapshotId>, ErrorKind> {
        let mut wanted: Vec<(DatasetId, &str)> = Vec::new();
        for (dataset, name) in names {
            let dataset = self.find_dataset(dataset)?;
            self.check_new_snapshot(dataset, name)?;
            if wanted.contains(&(dataset, name)) {
                return Err(Exists);
            }
            wanted.push((dataset, name));
        }
        Ok(wanted.into_iter().map(|(dataset, name)| self.add_snapshot(dataset, name, false, now)).collect())
    }

    fn add_snapshot(&mut self, dataset: DatasetId, name: &str, automatic: bool, now: Timestamp) -> SnapshotId {
        let id = SnapshotId(self.new_id());
        let head = &self.datasets[&dataset];
        let files = head.files.snapshot();
        files.release_all();
        let snapshot = Snapshot {
            dataset,
            name: name.to_owned(),
            fate: Fate::Live,
            created: now,
            automatic,
            holds: Default::default(),
            parent: head.parent,
            files: Arc::new(files),
            told: None,
        };
        self.snapshots.insert(id, snapshot);
        self.change_dataset(dataset, |dataset| dataset.parent = Some(id));
        id
    }

    fn clone_snapshot(
        &mut self,
        snapshot: &str,
        name: &str,
        change: &PropertyChange,
        now: Timestamp,
    ) -> Result<DatasetId, ErrorKind> {
        let origin = self.find_snapshot(snapshot)?;
        let snapshot = &self.snapshots[&origin];
        let properties = changed(&self.datasets[&snapshot.dataset].properties, change)?;
        let files = snapshot.files.fork();
        self.check_free(name)?;
        Ok(self.add_dataset(name, &properties, Some(origin), files, now))
    }

    fn rewind(&mut self, name: &str, to: &str, now: Timestamp) -> Result<SnapshotId, ErrorKind> {
        let (id, target) = (self.find_dataset(name)?, self.find_snapshot(to)?);
        let own = self.snapshots[&target].dataset == id;
        if !own && !self.ancestors(self.datasets[&id].parent).any(|ancestor| ancestor == target) {
            return Err(Invalid);
        }
        let is_taken = |name: &str| self.live_snapshots().any(|(_, it)| it.dataset == id && it.name == name);
        let mut names = (1..).map(|number| format!("before-rewind-{number}"));
        let name = names.find(|name| !is_taken(name)).expect("there are more numbers");
        let taken = self.add_snapshot(id, &name, true, now);
        let files = self.snapshots[&target].files.fork();
        files.set_next_inode(files.next_inode().max(self.datasets[&id].files.next_inode()));
        files.set_quota(self.datasets[&id].properties.quota);
        files.set_read_only(self.datasets[&id].properties.readonly);
        self.set_files(id, files);
        self.change_dataset(id, |dataset| dataset.parent = Some(target));
        Ok(taken)
    }

    fn destroy_each(&mut self, names: &[String], recursive: bool, now: Timestamp) -> Result<VerbAnswer, ErrorKind> {
        for name in names {
            if name.contains('@') { self.find_snapshot(name).map(drop)? } else { self.find_dataset(name).map(drop)? }
        }
        for (count, name) in names.iter().enumerate() {
            if let Err(kind) = self.destroy(name, recursive, now) {
                return Ok(VerbAnswer::Destroyed(count, Some(kind)));
            }
        }
        Ok(VerbAnswer::Destroyed(names.len(), None))
    }

    fn destroy(&mut self, name: &str, recursive: bool, now: Timestamp) -> Result<(), ErrorKind> {
        if name.contains('@') {
            let id = self.find_snapshot(name)?;
            if !self.snapshots[&id].holds.is_empty() {
                return Err(Busy);
            }
            self.change(id, |snapshot| snapshot.fate = Fate::Destroyed(now));
            return Ok(());
        }
        let id = self.find_dataset(name)?;
        let mut doomed = self.below(id);
        if !recursive && !doomed.is_empty() {
            return Err(NotEmpty);
        }
        doomed.push(id);
        let held = |it: &Snapshot| doomed.contains(&it.dataset) && it.fate != Fate::Purged && !it.holds.is_empty();
        if self.snapshots.values().any(held) {
            return Err(Busy);
        }
        for id in doomed {
            let files = self.datasets[&id].files.copy();
            files.release_all();
            self.set_files(id, files);
            self.change_dataset(id, |dataset| dataset.fate = Fate::Destroyed(now));
        }
        Ok(())
    }

    fn undelete(&mut self, name: &str, to: Option<&str>) -> Result<(), ErrorKind> {
        let had_it = |holder: &Holder| match holder {
            Holder::Dataset(id) => self.datasets[id].name == name,
            Holder::Snapshot(id) => self.full_name(*id) == name,
        };
        let found = self.awaiting().into_iter().rev().map(|(_, holder)| holder).find(had_it).ok_or(NotFound)?;
        match found {
            Holder::Dataset(id) => {
                let to = to.unwrap_or(name).to_owned();
                self.check_free(&to)?;
                self.change_dataset(id, |dataset| (dataset.name, dataset.fate) = (to, Fate::Live));
            }
            Holder::Snapshot(id) => {
                let dataset = self.snapshots[&id].dataset;
                if self.datasets[&dataset].fate != Fate::Live {
                    return Err(NotFound);
                }
                let to = to.unwrap_or(&self.snapshots[&id].name).to_owned();
                self.check_new_snapshot(dataset, &to)?;
                self.change(id, |snapshot| (snapshot.name, snapshot.fate) = (to, Fate::Live));
            }
        }
        Ok(())
    }

    /// Purges what the pool has purged, longest destroyed first, if `found` is what it says can be undeleted.
    pub fn purge_as_in(&mut self, found: &Listing) {
        while let Some((since, _)) = self.awaiting().first().copied()
            && self.destroyed(found) != *found
        {
            self.purge(Timestamp { nanoseconds: since.nanoseconds + 1, ..since });
        }
    }

    fn purge(&mut self, before: Timestamp) -> u64 {
        let mut count = 0;
        while let Some((since, holder)) = self.awaiting().first()
            && *since < before
        {
            count += 1;
            match *holder {
                Holder::Snapshot(id) => self.hide(id),
                Holder::Dataset(id) => {
                    let nothing = Arc::new(Model::default());
                    let own: Vec<_> =
                        self.snapshots.iter().filter(|(_, it)| it.dataset == id).map(|(id, _)| *id).collect();
                    own.into_iter().for_each(|snapshot| self.hide(snapshot));
                    self.change_dataset(id, |dataset| (dataset.fate, dataset.files) = (Fate::Purged, nothing));
                }
            }
        }
        count
    }

    fn hide(&mut self, id: SnapshotId) {
        let nothing = Arc::new(Model::default());
        self.change(id, |snapshot| (snapshot.fate, snapshot.files) = (Fate::Purged, nothing));
    }

    fn hold(&mut self, snapshot: &str, tag: &str) -> Result<(), ErrorKind> {
        let id = self.find_snapshot(snapshot)?;
        check_name(tag, [tag].into_iter())?;
        if self.snapshots[&id].holds.contains(tag) {
            return Err(Exists);
        }
        self.change(id, |snapshot| snapshot.holds.extend([tag.to_owned()]));
        Ok(())
    }
}

fn check_name<'a>(name: &str, mut parts: impl Iterator<Item = &'a str>) -> Result<(), ErrorKind> {
    if name.len() > NAME_MAX {
        return Err(NameTooLong);
    }
    let is_sound = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let sound = parts.all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(is_sound));
    if sound { Ok(()) } else { Err(Invalid) }
}

fn check_properties(properties: &Properties) -> Result<(), ErrorKind> {
    let Properties { block_size, extent_size, user, .. } = properties;
    let blocks = block_size.is_power_of_two() && (4 << 10..=64 << 10).contains(block_size);
    let extents = blocks && *extent_size > 0 && extent_size % block_size == 0 && *extent_size <= 128 << 10;
    if extents && user.keys().all(|key| key.contains(':')) { Ok(()) } else { Err(Invalid) }
}

fn changed(before: &Properties, change: &PropertyChange) -> Result<Properties, ErrorKind> {
    let mut after = Properties {
        block_size: before.block_size,
        extent_size: change.extent_size.unwrap_or(before.extent_size),
        compression: change.compression.unwrap_or(before.compression),
        sync: change.sync.unwrap_or(before.sync),
        dedup: change.dedup.unwrap_or(before.dedup),
        quota: change.quota.unwrap_or(before.quota),
        readonly: change.readonly.unwrap_or(before.readonly),
        user: before.user.clone(),
    };
    for (key, value) in &change.user {
        match value {
            Some(value) => drop(after.user.insert(key.clone(), value.clone())),
            None => drop(after.user.remove(key)),
        }
    }
    check_properties(&after).map(|()| after)
}
