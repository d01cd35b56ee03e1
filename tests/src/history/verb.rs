//! One verb of a pool as data, and its answer.

use cow_storage::catalog::{DatasetInfo, Properties, PropertyChange, SnapshotInfo};
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::{DatasetId, Timestamp};
use cow_storage::pool::Pool;

use crate::history::World;

#[derive(Clone, Debug)]
pub(super) enum Verb {
    Create { name: String, properties: Properties },
    Rename { name: String, to: String },
    Set { name: String, change: PropertyChange },
    Snapshot(Vec<(String, String)>),
    RenameSnapshot { snapshot: String, to: String },
    Clone { snapshot: String, name: String, change: PropertyChange },
    Rewind { name: String, to: String },
    Destroy { names: Vec<String>, recursive: bool },
    Undelete { name: String, to: Option<String> },
    Purge { before: Timestamp },
    Hold { snapshot: String, tag: String },
    Release { snapshot: String, tag: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VerbAnswer {
    Nothing,
    Dataset(DatasetInfo),
    Snapshots(Vec<SnapshotInfo>),
    Count(u64),
    /// How many were, and why the next was not.
    Destroyed(usize, Option<ErrorKind>),
}

impl Verb {
    /// The datasets whose heads it is about.
    pub fn heads(&self, world: &World) -> Vec<DatasetId> {
        let find = |name: &str| world.find_dataset(name).ok();
        match self {
            Self::Set { name, .. } | Self::Rewind { name, .. } => find(name).into_iter().collect(),
            Self::Snapshot(names) => names.iter().filter_map(|(name, _)| find(name)).collect(),
            Self::Destroy { names, recursive } => {
                let below = |id| if *recursive { world.below(id) } else { Vec::new() };
                let ids = names.iter().filter_map(|name| find(name));
                ids.flat_map(|id| below(id).into_iter().chain([id])).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn run(&self, pool: &Pool, now: Timestamp) -> Result<VerbAnswer, Error> {
        let nothing = |()| VerbAnswer::Nothing;
        let one = |info| VerbAnswer::Snapshots(vec![info]);
        match self {
            Self::Create { name, properties } => pool.create_dataset(name, properties, now).map(VerbAnswer::Dataset),
            Self::Rename { name, to } => pool.rename_dataset(name, to, now).map(VerbAnswer::Dataset),
            Self::Set { name, change } => pool.set_properties(name, change, now).map(VerbAnswer::Dataset),
            Self::Snapshot(names) => {
                let names: Vec<_> = names.iter().map(|(dataset, name)| (&**dataset, &**name)).collect();
                pool.snapshot(&names, now).map(VerbAnswer::Snapshots)
            }
            Self::RenameSnapshot { snapshot, to } => pool.rename_snapshot(snapshot, to, now).map(one),
            Self::Clone { snapshot, name, change } => {
                pool.clone_snapshot(snapshot, name, change, now).map(VerbAnswer::Dataset)
            }
            Self::Rewind { name, to } => pool.rewind(name, to, now).map(one),
            Self::Destroy { names, recursive } => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let (count, stopped) = pool.destroy_each(&names, *recursive, now)?;
                Ok(VerbAnswer::Destroyed(count, stopped.err().map(|error| error.kind())))
            }
            Self::Undelete { name, to } => pool.undelete(name, to.as_deref(), now).map(nothing),
            Self::Purge { before } => pool.purge(*before, now).map(VerbAnswer::Count),
            Self::Hold { snapshot, tag } => pool.hold(snapshot, tag, now).map(nothing),
            Self::Release { snapshot, tag } => pool.release_hold(snapshot, tag, now).map(nothing),
        }
    }
}
