//! What is done to datasets and snapshots. Each verb is part of one commit, whole or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Catalog, DatasetInfo, Holder, Properties, PropertyChange, SnapshotInfo, State};
use crate::content::{Edit, Layers, WriteBack, write_back};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, SnapshotId, Timestamp};
use crate::fs;
use crate::pool::core::Core;
use crate::pool::head::Head;
use crate::pool::publish::Change;
use crate::pool::record;
use crate::store::CommitWriter;
use crate::tree::{Root, apply};

/// Mode of a new dataset's root directory.
const ROOT_MODE: u32 = 0o755;

impl Core {
    /// Makes a dataset with an empty root directory.
    pub fn create_dataset(&self, name: &str, properties: &Properties, now: Timestamp) -> Result<DatasetInfo> {
        let (name, properties) = (name.to_owned(), properties.clone());
        self.make_room(u64::from(properties.block_size), now)?;
        self.submit(Vec::new(), now, move |change| {
            change.catalog.check_new_dataset(&name, &properties)?;
            let root = change.empty_tree(&properties, now)?;
            let state = State { root, referenced: 0, inodes: 1, next_inode: 2 };
            let dataset = change.catalog.create_dataset(&name, &properties, state, now)?;
            change.catalog.dataset_info(dataset)
        })
    }

    /// Renames a dataset and those below it.
    pub fn rename_dataset(&self, name: &str, to: &str, now: Timestamp) -> Result<DatasetInfo> {
        let (name, to) = (name.to_owned(), to.to_owned());
        self.submit(Vec::new(), now, move |change| {
            let dataset = change.catalog.find_dataset(&name)?;
            change.catalog.rename_dataset(dataset, &to)?;
            change.catalog.dataset_info(dataset)
        })
    }

    /// Changes properties. The commit that brings `sync=standard` makes durable what was written before it.
    pub fn set_properties(&self, name: &str, change: &PropertyChange, now: Timestamp) -> Result<DatasetInfo> {
        let wanted = change.clone();
        let dataset = self.catalog.read().find_dataset(name)?;
        self.submit(vec![Holder::Head(dataset)], now, move |change| {
            change.catalog.set_properties(dataset, &wanted)?;
            let info = change.catalog.dataset_info(dataset)?;
            let properties = info.properties.clone();
            change.then(move |core| {
                if let Some(head) = core.heads.lock().get(&Holder::Head(dataset)) {
                    head.set_properties(properties);
                }
            });
            Ok(info)
        })
    }

    /// Takes a snapshot of each dataset, all at one instant.
    pub fn snapshot(&self, names: &[(&str, &str)], now: Timestamp) -> Result<Vec<SnapshotInfo>> {
        let mut wanted: Vec<(DatasetId, String)> = Vec::with_capacity(names.len());
        let catalog = self.catalog.read();
        for (dataset, name) in names {
            let one = (catalog.find_dataset(dataset)?, (*name).to_owned());
            catalog.check_new_snapshot(one.0, name)?;
            if wanted.contains(&one) {
                return Err(Error::new(ErrorKind::Exists, format!("`@{name}` is asked for twice")));
            }
            wanted.push(one);
        }
        drop(catalog);
        let heads = wanted.iter().map(|(dataset, _)| Holder::Head(*dataset)).collect();
        self.submit(heads, now, move |change| {
            let (catalog, birth) = (&mut *change.catalog, change.birth);
            wanted.iter().try_for_each(|(dataset, name)| catalog.check_new_snapshot(*dataset, name))?;
            let take = |(dataset, name): (DatasetId, String)| catalog.snapshot_head(dataset, &name, birth, now);
            let taken: Vec<SnapshotId> = wanted.into_iter().map(take).collect::<Result<_>>()?;
            taken.into_iter().map(|snapshot| change.catalog.snapshot_info(snapshot)).collect()
        })
    }

    /// Renames a snapshot, within its dataset.
    pub fn rename_snapshot(&self, snapshot: &str, to: &str, now: Timestamp) -> Result<SnapshotInfo> {
        let to = to.to_owned();
        self.on_snapshot(snapshot, now, move |catalog, snapshot| {
            catalog.rename_snapshot(snapshot, &to)?;
            catalog.snapshot_info(snapshot)
        })
    }

    /// Makes a writable dataset with a snapshot's content.
    pub fn clone_snapshot(
        &self,
        snapshot: &str,
        name: &str,
        change: &PropertyChange,
        now: Timestamp,
    ) -> Result<DatasetInfo> {
        let (name, wanted) = (name.to_owned(), change.clone());
        self.on_snapshot(snapshot, now, move |catalog, snapshot| {
            let dataset = catalog.clone_snapshot(snapshot, &name, &wanted, now)?;
            catalog.dataset_info(dataset)
        })
    }

    /// Takes a head back to a snapshot. Changes are kept out meanwhile: what came between the cut and the new root
    /// would belong to neither.
    pub fn rewind(&self, name: &str, to: &str, now: Timestamp) -> Result<SnapshotInfo> {
        let (dataset, snapshot) = {
            let catalog = self.catalog.read();
            (catalog.find_dataset(name)?, catalog.find_snapshot(to)?)
        };
        let paused = Paused::all(self, [Holder::Head(dataset)])?;
        let mut taken = self.try_rewind(dataset, snapshot, now);
        // What a commit has, the log gives up with the one after it.
        for _ in 0..2 {
            if taken.as_ref().is_err_and(|error| error.kind() == ErrorKind::Busy) {
                self.commit(now)?;
                taken = self.try_rewind(dataset, snapshot, now);
            }
        }
        drop(paused);
        taken
    }

    /// `Busy` if the log has no room for the mark.
    fn try_rewind(&self, dataset: DatasetId, snapshot: SnapshotId, now: Timestamp) -> Result<SnapshotInfo> {
        self.submit(vec![Holder::Head(dataset)], now, move |change| {
            // What the head has logged is in this commit, and it logs nothing until the pause ends. Whatever it logs then
            // is durable after this, so nobody has to wait for it.
            let _ = change.core.log.append(&record::encode_rewind(dataset, change.birth))?;
            let taken = change.catalog.rewind(dataset, snapshot, change.birth, now)?;
            let state = *change.catalog.state(Holder::Head(dataset))?;
            change.then(move |core| {
                if let Some(head) = core.heads.lock().get(&Holder::Head(dataset)) {
                    head.reset(&state, &core.store);
                }
            });
            change.catalog.snapshot_info(taken)
        })
    }

    /// Destroys datasets and snapshots, one after the other until one cannot be; their data stays until it is purged. Returns how
    /// many were, and why the next was not.
    pub fn destroy(&self, names: &[&str], recursive: bool, now: Timestamp) -> Result<(usize, Result<()>)> {
        let (holders, heads) = self.to_destroy(names, recursive)?;
        let paused = Paused::all(self, heads.iter().copied())?;
        let done = self.submit(heads, now, move |change| {
            let destroyed = |change: &mut Change<'_>, holder: &Holder| match holder {
                Holder::Head(dataset) => change.catalog.destroy_dataset(*dataset, recursive, now).map(drop),
                Holder::Snapshot(snapshot) => change.catalog.destroy_snapshot(*snapshot, now),
            };
            let mut stopped = Ok(());
            let count = holders.iter().take_while(|holder| {
                stopped = destroyed(change, holder);
                stopped.is_ok()
            });
            let count = count.count();
            change.then(Core::forget_destroyed);
            Ok((count, stopped))
        });
        drop(paused);
        done
    }

    /// What names stand for, and the heads that go with them.
    fn to_destroy(&self, names: &[&str], recursive: bool) -> Result<(Vec<Holder>, Vec<Holder>)> {
        let catalog = self.catalog.read();
        let (mut holders, mut heads) = (Vec::new(), BTreeSet::new());
        for name in names {
            let holder = catalog.resolve(name)?;
            holders.push(holder);
            if let Holder::Head(_) = holder {
                let below = if recursive { catalog.datasets_below(name) } else { Vec::new() };
                heads.extend(below.into_iter().map(Holder::Head).chain([holder]));
            }
        }
        Ok((holders, heads.into_iter().collect()))
    }

    /// Takes a destroy back.
    pub fn undelete(&self, name: &str, to: Option<&str>, now: Timestamp) -> Result<()> {
        let (name, to) = (name.to_owned(), to.map(str::to_owned));
        self.submit(Vec::new(), now, move |change| match change.catalog.find_destroyed(&name)? {
            Holder::Head(dataset) => change.catalog.undelete_dataset(dataset, to.as_deref()),
            Holder::Snapshot(snapshot) => change.catalog.undelete_snapshot(snapshot, to.as_deref()),
        })
    }

    /// Ends the wait of what was destroyed before `before`. Returns how many that were.
    pub fn purge(&self, before: Timestamp, now: Timestamp) -> Result<u64> {
        let oldest = self.catalog.read().oldest_destroyed();
        match oldest {
            Some(oldest) if oldest < before => {
                self.submit(Vec::new(), now, move |change| Ok(change.catalog.purge(before)))
            }
            _ => Ok(0),
        }
    }

    /// Keeps a snapshot from being destroyed.
    pub fn hold(&self, snapshot: &str, tag: &str, now: Timestamp) -> Result<()> {
        let tag = tag.to_owned();
        self.on_snapshot(snapshot, now, move |catalog, snapshot| catalog.hold(snapshot, &tag))
    }

    /// Ends a hold.
    pub fn release_hold(&self, snapshot: &str, tag: &str, now: Timestamp) -> Result<()> {
        let tag = tag.to_owned();
        self.on_snapshot(snapshot, now, move |catalog, snapshot| catalog.release_hold(snapshot, &tag))
    }

    fn on_snapshot<T: Send + 'static>(
        &self,
        name: &str,
        now: Timestamp,
        act: impl FnOnce(&mut Catalog, SnapshotId) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let name = name.to_owned();
        self.submit(Vec::new(), now, move |change| {
            let snapshot = change.catalog.find_snapshot(&name)?;
            act(change.catalog, snapshot)
        })
    }

    /// Forgets heads and snapshots that are not in the catalog any more, or destroyed.
    fn forget_destroyed(&self) {
        let catalog = self.catalog.read();
        let gone: Vec<Holder> = self.heads.lock().keys().copied().filter(|holder| !catalog.lives(*holder)).collect();
        drop(catalog);
        gone.into_iter().for_each(|holder| self.forget(holder));
    }
}

impl Change<'_> {
    /// The tree of an empty file system.
    fn empty_tree(&self, properties: &Properties, now: Timestamp) -> Result<Root> {
        let mut layers = Layers::new(Arc::clone(&self.core.store), properties.block_size, Root::EMPTY);
        let mut edit = Edit::new(&layers, false);
        fs::make_root(&mut edit, now, 0, 0, ROOT_MODE)?;
        edit.finish();
        layers.freeze();
        let how = WriteBack {
            // It has no extents, whose origin this would be.
            dataset: DatasetId(0),
            block_len: properties.block_size,
            extent_len: properties.extent_size,
            level: None,
            hurried: false,
            birth: self.birth,
            privileged: true,
            dedup: false,
        };
        let overlay = layers.frozen().ok_or(ErrorKind::Invalid)?.read();
        let written = write_back(&self.core.store, &Root::EMPTY, &overlay, &how)?;
        let writer = CommitWriter::new(&self.core.store, self.birth);
        Ok(apply(&writer, &Root::EMPTY, written.edits, self.birth, &mut Vec::new())?.root)
    }
}

/// Heads that take no changes until this is dropped.
struct Paused(Vec<Arc<Head>>);

impl Paused {
    fn all(core: &Core, holders: impl IntoIterator<Item = Holder>) -> Result<Self> {
        let mut paused = Self(Vec::new());
        for holder in holders {
            let head = core.head(holder)?;
            head.pause();
            paused.0.push(head);
        }
        Ok(paused)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.iter().for_each(|head| head.resume());
    }
}
