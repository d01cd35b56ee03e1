//! Names for roots: datasets, snapshots, clones, and the forest of their dead lists.
//!
//! Invariant: the dead list of a head or snapshot is what its parent in the forest reaches and it does not. So
//! whatever the forest reaches and no list or walk has freed is owned by exactly one edge.
//!
//! All records are in memory; a commit stores those that changed as items of the system tree. The entries of
//! dead lists are only there, and are read through the caller's node store.

mod chunk;
mod codec;
mod datasets;
mod edits;
mod forest;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod index;
mod jobs;
mod layout;
mod live;
mod load;
mod lookup;
mod names;
mod properties;
mod sift;
mod snapshots;
mod types;

use std::collections::BTreeMap;

use crate::catalog::edits::Edits;
use crate::catalog::forest::{Dataset, Snapshot};
use crate::catalog::index::Index;
use crate::catalog::jobs::Job;
use crate::format::{DatasetId, SnapshotId};

pub use names::NAME_MAX;
pub use types::*;

pub(crate) use forest::List;
pub(crate) use jobs::Task;
pub(crate) use sift::{Sift, Stage, Turn};

#[cfg(test)]
pub(crate) mod tests;

/// All datasets and snapshots of a pool, those destroyed but not yet reclaimed included.
///
/// It is changed only inside a commit, by one caller, and does no I/O but through arguments. A call that fails
/// has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The id that the next dataset or snapshot gets: one counter for both, from 1.
    next_id: u64,
    /// The id that the next dead list gets, from 1.
    next_list: u64,
    datasets: BTreeMap<DatasetId, Dataset>,
    snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// The destroyed holder that is being reclaimed.
    job: Option<Job>,
    /// What follows from the records.
    index: Index,
    /// What the next commit stores.
    edits: Edits,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::new()
    }
}
