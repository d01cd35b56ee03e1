//! The pool's handle.

use std::sync::Arc;

use crate::catalog::{DatasetInfo, Properties, PropertyChange, SnapshotInfo};
use crate::error::Result;
use crate::executor::Executor;
use crate::format::{PoolId, Timestamp};
use crate::fs::FileSystem;
use crate::media::Media;
use crate::pool::{Budgets, Counters, Difference, Listing, NewPool, PoolSpace, Progress, VerifyReport};

/// An open pool. Cheap to clone, safe to use from several threads.
///
/// Names: a dataset is `a/b/c`; a snapshot is `a/b/c@name`. Verbs are durable when they return.
#[derive(Clone)]
pub struct Pool {}

#[expect(clippy::todo, unused_variables, missing_docs, reason = "the signatures come first")]
impl Pool {
    /// Makes a pool on empty media.
    pub fn create(media: &Arc<dyn Media>, new: &NewPool) -> Result<()> {
        todo!()
    }
    /// Whether media holds a pool.
    pub fn exists(media: &dyn Media) -> Result<bool> {
        todo!()
    }
    /// Opens a pool, recovering what was promised. `boot` is random: the seed of the write verifier.
    pub fn open(
        media: Arc<dyn Media>,
        executor: Arc<dyn Executor>,
        budgets: Budgets,
        boot: u64,
        now: Timestamp,
    ) -> Result<Self> {
        todo!()
    }
    /// Commits and refuses all further calls.
    pub fn close(&self, now: Timestamp) -> Result<()> {
        todo!()
    }
    pub fn id(&self) -> PoolId {
        todo!()
    }
    /// A key for `purpose`, derived from the pool's secret.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        todo!()
    }

    /// Parents must exist.
    pub fn create_dataset(&self, name: &str, properties: &Properties, now: Timestamp) -> Result<DatasetInfo> {
        todo!()
    }
    pub fn rename_dataset(&self, name: &str, to: &str, now: Timestamp) -> Result<DatasetInfo> {
        todo!()
    }
    pub fn set_properties(&self, name: &str, change: &PropertyChange, now: Timestamp) -> Result<DatasetInfo> {
        todo!()
    }
    /// One snapshot each of several datasets, at one instant.
    pub fn snapshot(&self, names: &[(&str, &str)], now: Timestamp) -> Result<Vec<SnapshotInfo>> {
        todo!()
    }
    pub fn rename_snapshot(&self, snapshot: &str, to: &str, now: Timestamp) -> Result<SnapshotInfo> {
        todo!()
    }
    /// A writable dataset with a snapshot's content.
    pub fn clone_snapshot(
        &self,
        snapshot: &str,
        name: &str,
        change: &PropertyChange,
        now: Timestamp,
    ) -> Result<DatasetInfo> {
        todo!()
    }
    /// Sets a head to a snapshot's content: of its own timeline, or its origin's. Returns the automatic
    /// snapshot that holds what the head had before.
    pub fn rewind(&self, name: &str, to: &str, now: Timestamp) -> Result<SnapshotInfo> {
        todo!()
    }
    /// Destroys a dataset (with its snapshots; with `recursive` also the datasets below it) or one snapshot.
    /// It can be undeleted until it is purged.
    pub fn destroy(&self, name: &str, recursive: bool, now: Timestamp) -> Result<()> {
        todo!()
    }
    /// Ends the wait of what was destroyed before `before`, so that its space comes back.
    pub fn purge(&self, before: Timestamp, now: Timestamp) -> Result<u64> {
        todo!()
    }
    /// Destroyed datasets and snapshots that can be undeleted.
    pub fn destroyed(&self) -> Result<Listing> {
        todo!()
    }
    /// Takes a destroy back. `to` is the new name where the old one is taken.
    pub fn undelete(&self, name: &str, to: Option<&str>, now: Timestamp) -> Result<()> {
        todo!()
    }
    pub fn hold(&self, snapshot: &str, tag: &str, now: Timestamp) -> Result<()> {
        todo!()
    }
    pub fn release_hold(&self, snapshot: &str, tag: &str, now: Timestamp) -> Result<()> {
        todo!()
    }

    pub fn dataset(&self, name: &str) -> Result<DatasetInfo> {
        todo!()
    }
    pub fn snapshot_info(&self, snapshot: &str) -> Result<SnapshotInfo> {
        todo!()
    }
    pub fn list(&self) -> Result<Listing> {
        todo!()
    }
    /// What destroying this dataset (with its snapshots) or snapshot would free, in stored bytes.
    pub fn would_free(&self, name: &str) -> Result<u64> {
        todo!()
    }
    /// The file system of a dataset's head (`a/b`) or of a snapshot (`a/b@s`, read only). Two calls for the
    /// same one share all state; the handle answers `Stale` once the dataset is destroyed.
    pub fn file_system(&self, name: &str) -> Result<Arc<dyn FileSystem>> {
        todo!()
    }
    /// Paths that differ between two of: snapshots of one timeline, a clone and its origin, a head. Calls
    /// `found` until it returns false.
    pub fn diff(&self, older: &str, newer: &str, found: &mut dyn FnMut(Difference) -> bool) -> Result<()> {
        todo!()
    }
    pub fn space(&self) -> Result<PoolSpace> {
        todo!()
    }
    pub fn counters(&self) -> Counters {
        todo!()
    }
    /// Reads and checks everything reachable, or what one dataset or snapshot reaches. `progress` is told
    /// bytes done and bytes in all, and stops it by returning false.
    pub fn verify(&self, of: Option<&str>, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<VerifyReport> {
        todo!()
    }

    /// Makes everything so far durable. The daemon calls it every few seconds and when told that it is due.
    pub fn commit(&self, now: Timestamp) -> Result<()> {
        todo!()
    }
    /// Whether dirty memory or the intent log ask for a commit now.
    pub fn commit_due(&self) -> bool {
        todo!()
    }
    /// Frees what destroyed datasets, snapshots and orphaned files held, up to `budget` pointers.
    pub fn reclaim_step(&self, budget: u64, now: Timestamp) -> Result<Progress> {
        todo!()
    }
    /// Moves live extents out of sparse segments, up to `budget` bytes.
    pub fn clean_step(&self, budget: u64, now: Timestamp) -> Result<Progress> {
        todo!()
    }
}
