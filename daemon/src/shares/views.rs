//! What the fronts ask for shares and snapshots: the seam between protocols and the pool.
//!
//! Invariant: a view's `fsid` differs between a head and each of its snapshots, so that clients never
//! take an inode of one for the same inode of another.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use cow_storage::catalog::Holder;
use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::{DatasetId, SnapshotId};
use cow_storage::fs::{CallId, FileSystem};
use cow_storage::pool::Pool;

use crate::shares::{Share, Shares};

/// The name, in a dataset's root, of the directory of its snapshots. No front lets anything else have it.
pub const SNAPSHOTS_NAME: &[u8] = b".snapshot";

/// One file system that clients can see: a share's head or one of its snapshots.
#[derive(Clone)]
pub struct View {
    /// The share: who may see it.
    pub share: Arc<Share>,
    /// The snapshot, unless it is the head.
    pub snapshot: Option<SnapshotId>,
    /// Tells clients this file system from every other one of the server.
    pub fsid: u64,
    /// The files.
    pub file_system: Arc<dyn FileSystem>,
}

/// A snapshot of a shared dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    /// Its name, without the dataset's.
    pub name: String,
    /// Its id.
    pub id: SnapshotId,
}

/// All that can be seen through fronts. Called for each request: answers must be quick.
pub trait Views: Send + Sync {
    /// The share whose path is the longest front of `path`, and the names that follow it.
    fn share_by_path<'a>(&self, path: &'a [u8]) -> Option<(Arc<Share>, Vec<&'a [u8]>)>;

    /// A share's head or snapshot. `Stale` when it is not shared, or gone.
    fn share_by_id(&self, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Result<View>;

    /// A dataset's snapshots by id.
    fn snapshots(&self, dataset: DatasetId) -> Result<Vec<SnapshotName>>;

    /// The snapshot of that name, or `NotFound`.
    fn snapshot_named(&self, dataset: DatasetId, name: &str) -> Result<SnapshotId> {
        let found = self.snapshots(dataset)?.into_iter().find(|snapshot| snapshot.name == name);
        found.map(|snapshot| snapshot.id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// All shares by path.
    fn shares(&self) -> Vec<Arc<Share>>;

    /// Whether a call was done before a crash, though its client may not have been told.
    fn was_done(&self, _call: CallId) -> bool {
        false
    }

    /// Whether any share admits a client.
    fn admits(&self, client: SocketAddr) -> bool {
        self.shares().iter().any(|share| share.access.rule(client).is_some())
    }
}

/// The views of a pool's datasets that are in a table of shares.
pub struct PoolViews {
    pool: Pool,
    shares: Arc<Shares>,
    done_before: HashSet<CallId>,
}

impl PoolViews {
    /// Views of `pool` as far as `shares` names its datasets.
    pub fn new(pool: Pool, shares: Arc<Shares>) -> Self {
        let done_before = pool.done_before().into_iter().collect();
        Self { pool, shares, done_before }
    }

    fn snapshot_files(&self, dataset: DatasetId, id: SnapshotId) -> Result<Arc<dyn FileSystem>> {
        if self.pool.dataset_of_snapshot(id)? != dataset {
            return Err(ErrorKind::Stale.into());
        }
        self.pool.file_system_at(Holder::Snapshot(id))
    }
}

impl Views for PoolViews {
    fn share_by_path<'a>(&self, path: &'a [u8]) -> Option<(Arc<Share>, Vec<&'a [u8]>)> {
        self.shares.by_path(path)
    }

    fn share_by_id(&self, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Result<View> {
        let share = self.shares.by_dataset(dataset).ok_or(ErrorKind::Stale)?;
        Ok(match snapshot {
            None => View { snapshot, fsid: share.fsid, file_system: share.file_system.clone(), share },
            // Snapshot ids and dataset ids are drawn from the same numbers.
            Some(id) => View { snapshot, fsid: id.0, file_system: self.snapshot_files(share.dataset, id)?, share },
        })
    }

    fn was_done(&self, call: CallId) -> bool {
        self.done_before.contains(&call)
    }

    fn snapshots(&self, dataset: DatasetId) -> Result<Vec<SnapshotName>> {
        let listed = self.pool.snapshots_of(dataset)?.into_iter();
        Ok(listed.map(|(name, id)| SnapshotName { name, id }).collect())
    }

    fn snapshot_named(&self, dataset: DatasetId, name: &str) -> Result<SnapshotId> {
        self.pool.snapshot_named(dataset, name)
    }

    fn shares(&self) -> Vec<Arc<Share>> {
        self.shares.list()
    }
}
