//! Destroys what was purged, a budgeted step at a time, and tells what a destruction would free.
//!
//! Invariant: between two commits every pointer that is stored is owned by exactly one edge of the forest, or owed by
//! the job under way; [`for_each_reference`] finds each once.

mod common;
mod edges;
mod estimate;
mod plan;
mod recount;
mod search;
mod sieve;
mod sift;
mod step;

pub use common::Share;
pub use edges::{Edge, edges};
pub use estimate::{Estimate, Told};
pub use recount::{OwedEntries, Owned, for_each_reference, owned};
pub use sift::{Aim, Sifter};
pub use step::{Ahead, Progress, step};

use crate::error::Result;
use crate::tree::{Dead, NodeStore, Root};

#[cfg(test)]
mod tests;

/// Takes a reference off a node or blocks.
pub type Free<'f> = dyn FnMut(&Dead) -> Result<()> + 'f;

/// What reclaiming reads.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Nodes of all trees.
    pub nodes: &'a dyn NodeStore,
    /// The system tree as of the last commit: all edits taken from the catalog so far are applied to it. Those that are not
    /// taken yet are seen in the catalog.
    pub system: &'a Root,
}
