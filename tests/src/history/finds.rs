//! What a pool is found to hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::DatasetId;
use cow_storage::fs::FileSystem;
use cow_storage::pool::{Listing, Pool};

use crate::history::{Tree, World};
use crate::model::Model;

/// All names and all heads.
pub(super) struct Finds {
    pub listing: Listing,
    pub destroyed: Listing,
    pub trees: BTreeMap<DatasetId, Tree>,
}

impl Finds {
    pub fn of(pool: &Pool) -> Result<Self, Error> {
        let listing = pool.list()?;
        let mut trees = BTreeMap::new();
        for dataset in &listing.datasets {
            let read = || Tree::of(&*pool.file_system(&dataset.name)?);
            let tree = read().map_err(|error: Error| error.during(format!("read {}", dataset.name)))?;
            trees.insert(dataset.id, tree);
        }
        Ok(Self { destroyed: pool.destroyed()?, listing, trees })
    }

    /// What differs from what the world has, in words. Change counters count only if `exact`.
    pub fn difference(&self, world: &World, exact: bool) -> Option<String> {
        let (listing, destroyed) = (world.listing(&self.listing), world.destroyed(&self.destroyed));
        if self.listing != listing {
            return Some(format!("listed are {}\nexpected {}", brief(&self.listing), brief(&listing)));
        }
        if self.destroyed != destroyed {
            return Some(format!("destroyed are {}\nexpected {}", brief(&self.destroyed), brief(&destroyed)));
        }
        world.live_datasets().find_map(|(id, dataset)| {
            let expected = Tree::of(&*dataset.files).expect("a model can be read");
            let found = &self.trees[&id];
            let difference = match exact {
                true => found.difference(&expected),
                false => found.clone().without_changes().difference(&expected.without_changes()),
            };
            difference.map(|difference| format!("in {} {difference}", dataset.name))
        })
    }

    /// Takes into the world what it could not know.
    pub fn teach(&self, world: &mut World) {
        for (id, dataset) in world.live_datasets() {
            for (inode, object) in &self.trees[&id].objects {
                dataset.files.set_change(*inode, object.attributes.change);
            }
        }
        for info in self.listing.snapshots.iter().chain(&self.destroyed.snapshots) {
            let snapshot = world.snapshots.get_mut(&info.id);
            snapshot.expect("its listing was the world's").told.get_or_insert_with(|| info.clone());
        }
    }
}

/// Compares every live snapshot with its model; tells the first that differs.
pub(super) fn check_snapshots(pool: &Pool, world: &World) -> Result<(), String> {
    let names = world.live_snapshots().map(|(id, snapshot)| (world.full_name(id), &snapshot.files));
    names.into_iter().try_for_each(|(name, files)| check_snapshot(pool, &name, files))
}

/// The same in an older state of the pool, which may have other snapshots under other names.
pub(super) fn check_old_snapshots(pool: &Pool, world: &World) -> Result<(), String> {
    let listing = pool.list().map_err(|error| format!("list: {error:?}"))?;
    for info in listing.snapshots {
        let dataset = listing.datasets.iter().find(|dataset| dataset.id == info.dataset).map(|dataset| &dataset.name);
        let known = world.snapshots.get(&info.id).filter(|snapshot| snapshot.told == Some(info.clone()));
        if let (Some(dataset), Some(known)) = (dataset, known) {
            check_snapshot(pool, &format!("{dataset}@{}", info.name), &known.files)?;
        }
    }
    Ok(())
}

fn check_snapshot(pool: &Pool, name: &str, files: &Model) -> Result<(), String> {
    let read = || -> Result<Tree, Error> {
        let files: Arc<dyn FileSystem> = pool.file_system(name)?;
        Tree::of(&*files)
    };
    let found = read().map_err(|error| format!("{name}: {error:?}"))?;
    let expected = Tree::of(files).map_err(|error| format!("the model of {name}: {error:?}"))?;
    found.difference(&expected).map_or(Ok(()), |difference| Err(format!("in {name} {difference}")))
}

/// Lets the pool read and check everything, if it can do that.
pub(super) fn check_sound(pool: &Pool) -> Result<(), String> {
    match pool.verify(None, &mut |_, _| true) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(format!("verify: {error:?}")),
        Ok(report) if report.damage.is_empty() => Ok(()),
        Ok(report) => Err(format!("{:#?}", report.damage)),
    }
}

fn brief(listing: &Listing) -> String {
    format!("{:?} {:?}", listing.datasets, listing.snapshots)
}
