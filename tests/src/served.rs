//! Models behind a real server: shares of them, and their snapshots.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::{DatasetId, SnapshotId};
use cow_storage::fs::FileSystem;
use cowd::nfs::{Limits, LockSetup, Server};
use cowd::shares::{Access, Network, Rule, Share, Shares, SnapshotName, Squash, View, Views};

use crate::model::Model;

/// Shares of models.
#[derive(Default)]
pub struct ModelViews {
    /// The table.
    pub shares: Shares,
    snapshots: Mutex<BTreeMap<SnapshotId, Snapshot>>,
}

struct Snapshot {
    dataset: DatasetId,
    name: String,
    file_system: Arc<dyn FileSystem>,
}

impl ModelViews {
    /// Shares a file system at `path`.
    pub fn share(&self, path: &str, dataset: u64, file_system: Arc<dyn FileSystem>, access: Access) {
        let (dataset_name, fsid) = (path.trim_matches('/').to_owned(), dataset);
        let dataset = DatasetId(dataset);
        let (path, access, access_from) = (path.to_owned(), Arc::new(access), None);
        self.shares.set(Share { path, dataset_name, dataset, fsid, file_system, access, access_from });
    }

    /// Adds a snapshot of a dataset.
    pub fn add_snapshot(&self, dataset: u64, id: u64, name: &str, file_system: Arc<dyn FileSystem>) {
        let snapshot = Snapshot { dataset: DatasetId(dataset), name: name.to_owned(), file_system };
        self.snapshots.lock().unwrap().insert(SnapshotId(id), snapshot);
    }
}

impl Views for ModelViews {
    fn share_by_path<'a>(&self, path: &'a [u8]) -> Option<(Arc<Share>, Vec<&'a [u8]>)> {
        self.shares.by_path(path)
    }

    fn share_by_id(&self, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Result<View> {
        let share = self.shares.by_dataset(dataset).ok_or(ErrorKind::Stale)?;
        let Some(id) = snapshot else {
            return Ok(View { snapshot, fsid: share.fsid, file_system: share.file_system.clone(), share });
        };
        let snapshots = self.snapshots.lock().unwrap();
        let found = snapshots.get(&id).filter(|found| found.dataset == dataset).ok_or(ErrorKind::Stale)?;
        Ok(View { snapshot, fsid: id.0, file_system: found.file_system.clone(), share })
    }

    fn snapshots(&self, dataset: DatasetId) -> Result<Vec<SnapshotName>> {
        let snapshots = self.snapshots.lock().unwrap();
        let of_it = snapshots.iter().filter(|(_, snapshot)| snapshot.dataset == dataset);
        Ok(of_it.map(|(&id, snapshot)| SnapshotName { name: snapshot.name.clone(), id }).collect())
    }

    fn shares(&self) -> Vec<Arc<Share>> {
        self.shares.list()
    }
}

/// Anybody from anywhere may read and write, as whom they say they are.
pub fn open_access() -> Access {
    let rule = |network| Rule { network, writable: true, squash: Squash::None };
    Access { rules: [Network::ALL_IPV4, Network::ALL_IPV6].map(rule).to_vec(), ..Access::default() }
}

/// A server on a free port of the loopback.
pub fn serve(views: Arc<dyn Views>) -> Server {
    Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), views, [7; 32], Limits::default()).expect("a server starts")
}

/// The same, managing locks like this.
pub fn serve_with_locks(views: Arc<dyn Views>, locks: LockSetup) -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start_with_locks(listen, views, [7; 32], Limits::default(), locks).expect("a server starts")
}

/// A server of one empty model at `/model`, open to everybody.
pub fn serve_model() -> (Server, Arc<Model>, Arc<ModelViews>) {
    let (model, views) = (Arc::new(Model::default()), Arc::new(ModelViews::default()));
    views.share("/model", 1, model.clone(), open_access());
    (serve(views.clone()), model, views)
}
