//! What a pool holds: names, and behind each of them a tree of files.
//!
//! Invariant: a copy shares all models, so a model in it is replaced, never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::{Checksum, InodeNumber, Timestamp};
use cow_storage::fs::{Caller, Context, FileSystem};
use cow_storage::pool::{Listing, Pool};

use crate::history::tree::Tree;
use crate::model::Model;
use crate::small::call::find;
use crate::small::{Call, Step};

/// A file system that does not change, and all that can be read in it.
#[derive(Clone)]
pub(super) struct Files {
    pub model: Arc<Model>,
    tree: Arc<OnceLock<Tree>>,
}

impl Files {
    pub fn new(model: Model) -> Self {
        Self { model: Arc::new(model), tree: Arc::default() }
    }

    /// What is found of it after a crash: nobody has anything open, and change counters do not count.
    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            let model = self.model.copy();
            model.release_all();
            Tree::of(&model).expect("a model can be read").without_changes()
        })
    }
}

#[derive(Clone)]
pub(super) struct Snapshot {
    pub files: Files,
    /// As the pool told it first.
    pub hash: Option<Checksum>,
}

/// Datasets and snapshots by name, and the names of what can be undeleted.
#[derive(Clone, Default)]
pub struct World {
    pub(super) datasets: BTreeMap<String, Files>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    destroyed: BTreeSet<String>,
}

impl World {
    /// Does a step. `made` is the number that a new inode gets.
    pub(super) fn act(&mut self, step: &Step, made: Option<InodeNumber>, time: i64) -> Result<()> {
        match *step {
            Step::Call { dataset, call, .. } => self.call(dataset, &call, made, time),
            Step::Snapshot(dataset, name) => self.snapshot(dataset, name),
            Step::Clone(snapshot, name) => {
                let model = self.found(snapshot)?.files.model.fork();
                if self.datasets.contains_key(name) {
                    return Err(ErrorKind::Exists.into());
                }
                self.datasets.insert(name.to_owned(), Files::new(model));
                Ok(())
            }
            Step::Rewind(dataset, to) => self.rewind(dataset, to),
            Step::Destroy(name) => self.destroy(name),
            Step::Commit => Ok(()),
            Step::Reclaim => {
                self.destroyed.clear();
                Ok(())
            }
        }
    }

    /// A dataset's files.
    pub(super) fn head(&self, dataset: &str) -> Result<&Files> {
        self.datasets.get(dataset).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn found(&self, snapshot: &str) -> Result<&Snapshot> {
        self.snapshots.get(snapshot).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn call(&mut self, dataset: &str, call: &Call, made: Option<InodeNumber>, time: i64) -> Result<()> {
        let model = self.head(dataset)?.model.copy();
        made.iter().for_each(|inode| model.set_next_inode(inode.0));
        call.make(&model, true, time)?;
        self.datasets.insert(dataset.to_owned(), Files::new(model));
        Ok(())
    }

    /// Does what a punch does where the bytes are lost that made the file so long: it only sets the times. Returns whether that is so.
    pub(super) fn punch_nothing(&mut self, dataset: &str, call: &Call, time: i64) -> bool {
        let Call::Punch(path, offset, _) = *call else { return false };
        let model = self.datasets[dataset].model.copy();
        let Ok(inode) = find(&model, path) else { return false };
        if model.attributes(inode).is_ok_and(|found| found.size > offset) {
            return false;
        }
        let now = Timestamp { seconds: time, nanoseconds: 0 };
        model.touch_content(&Context { now, caller: Caller::Superuser, durable: true, call: None }, inode);
        self.datasets.insert(dataset.to_owned(), Files::new(model));
        true
    }

    fn snapshot(&mut self, dataset: &str, name: &str) -> Result<()> {
        let model = self.head(dataset)?.model.snapshot();
        let name = format!("{dataset}@{name}");
        if self.snapshots.contains_key(&name) {
            return Err(ErrorKind::Exists.into());
        }
        self.snapshots.insert(name, Snapshot { files: Files::new(model), hash: None });
        Ok(())
    }

    fn rewind(&mut self, dataset: &str, to: &str) -> Result<()> {
        let (next, target) = (self.head(dataset)?.model.next_inode(), self.found(to)?.files.model.fork());
        target.set_next_inode(target.next_inode().max(next));
        let is_free = |name: &String| !self.snapshots.contains_key(&format!("{dataset}@{name}"));
        let name = (1..).map(|number| format!("before-rewind-{number}")).find(is_free).expect("there are more numbers");
        self.snapshot(dataset, &name)?;
        self.datasets.insert(dataset.to_owned(), Files::new(target));
        Ok(())
    }

    fn destroy(&mut self, name: &str) -> Result<()> {
        let is_of_it = |other: &String| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'));
        match name.contains('@') {
            true => drop(self.snapshots.remove(name).ok_or(ErrorKind::NotFound)?),
            false => {
                self.datasets.remove(name).ok_or(ErrorKind::NotFound)?;
                self.snapshots.retain(|other, _| !is_of_it(other));
                // With it they come back, and are not told of by themselves.
                self.destroyed.retain(|other| !is_of_it(other));
            }
        }
        self.destroyed.insert(name.to_owned());
        Ok(())
    }

    /// Whether something waits to be given back.
    pub(super) fn has_destroyed(&self) -> bool {
        !self.destroyed.is_empty()
    }

    /// Notes the hashes of snapshots that were not known yet.
    pub(super) fn learn(&mut self, hashes: &BTreeMap<String, Checksum>) {
        for (name, snapshot) in &mut self.snapshots {
            snapshot.hash = snapshot.hash.or(hashes.get(name).copied());
        }
    }
}

/// What a pool is found to hold.
pub struct Found {
    datasets: BTreeMap<String, Tree>,
    snapshots: BTreeMap<String, (Tree, Checksum)>,
    destroyed: BTreeSet<String>,
}

impl Found {
    /// Reads all of a pool.
    pub fn of(pool: &Pool) -> Result<Self> {
        let read = |name: &str| -> Result<Tree> {
            let tree = pool.file_system(name).and_then(|files| Tree::of(&*files));
            tree.map(Tree::without_changes).map_err(|error: Error| error.during(format!("read {name}")))
        };
        let (listing, destroyed) = (pool.list()?, pool.destroyed()?);
        let mut found =
            Self { datasets: BTreeMap::new(), snapshots: BTreeMap::new(), destroyed: names_of(&destroyed, &listing) };
        for dataset in &listing.datasets {
            found.datasets.insert(dataset.name.clone(), read(&dataset.name)?);
        }
        for (name, hash) in hashes(&listing) {
            found.snapshots.insert(name.clone(), (read(&name)?, hash));
        }
        Ok(found)
    }

    /// The first thing that differs from a world, in words.
    pub fn difference(&self, world: &World) -> Option<String> {
        let names = |found: Vec<&String>, expected: Vec<&String>| {
            (found != expected).then(|| format!("there are {found:?}, expected {expected:?}"))
        };
        names(self.datasets.keys().collect(), world.datasets.keys().collect())
            .or_else(|| names(self.snapshots.keys().collect(), world.snapshots.keys().collect()))
            .or_else(|| names(self.destroyed.iter().collect(), world.destroyed.iter().collect()))
            .or_else(|| {
                self.datasets.iter().find_map(|(name, tree)| {
                    let difference = tree.difference(world.datasets[name].tree());
                    difference.map(|difference| format!("in {name} {difference}"))
                })
            })
            .or_else(|| self.snapshots_differ(world))
    }

    /// The same for the snapshots that both have.
    pub fn snapshots_differ(&self, world: &World) -> Option<String> {
        self.snapshots.iter().find_map(|(name, (tree, hash))| {
            let expected = world.snapshots.get(name)?;
            let difference = tree.difference(expected.files.tree());
            let is_other = expected.hash.is_some_and(|expected| expected != *hash);
            let difference = difference.or_else(|| is_other.then(|| "the root's hash is another one".to_owned()));
            difference.map(|difference| format!("in {name} {difference}"))
        })
    }
}

/// All snapshots' names and hashes.
pub(super) fn hashes(listing: &Listing) -> BTreeMap<String, Checksum> {
    let name = |id| listing.datasets.iter().find(|dataset| dataset.id == id).map(|dataset| dataset.name.as_str());
    let full = listing.snapshots.iter().filter_map(|info| Some((name(info.dataset)?, info)));
    full.map(|(dataset, info)| (format!("{dataset}@{}", info.name), info.root_hash)).collect()
}

fn names_of(destroyed: &Listing, listing: &Listing) -> BTreeSet<String> {
    let own = Listing { datasets: listing.datasets.clone(), snapshots: destroyed.snapshots.clone() };
    let datasets = destroyed.datasets.iter().map(|dataset| dataset.name.clone());
    datasets.chain(hashes(&own).into_keys()).collect()
}
