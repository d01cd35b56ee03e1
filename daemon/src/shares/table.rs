//! The table of shares, in memory: thousands of them cost nothing, and changing one disturbs no other.
//!
//! Invariant: a dataset has at most one share and a path at most one; both maps hold the same shares.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cow_storage::format::DatasetId;
use cow_storage::fs::FileSystem;
use parking_lot::RwLock;

use crate::shares::Access;

/// A dataset as clients see it.
#[derive(Clone)]
pub struct Share {
    /// Where clients find it: begins with `/` and ends with none.
    pub path: String,
    /// The dataset's name.
    pub dataset_name: String,
    /// The dataset.
    pub dataset: DatasetId,
    /// Tells clients this file system from every other one of the server.
    pub fsid: u64,
    /// The dataset's head.
    pub file_system: Arc<dyn FileSystem>,
    /// Who may use it.
    pub access: Arc<Access>,
    /// The dataset whose options these are: itself, or one whose name is in front of its own. `None` if they are the
    /// configuration's.
    pub access_from: Option<DatasetId>,
}

/// All shares, by path and by dataset.
#[derive(Default)]
pub struct Shares {
    maps: RwLock<Maps>,
}

#[derive(Default)]
struct Maps {
    by_path: BTreeMap<String, Arc<Share>>,
    by_dataset: HashMap<DatasetId, Arc<Share>>,
}

impl Shares {
    /// Adds a share, in place of those that had its path or its dataset.
    pub fn set(&self, share: Share) {
        self.set_all([share]);
    }

    /// Adds shares, each in place of those that had its path or its dataset. Nobody sees some of them without the others.
    pub fn set_all(&self, shares: impl IntoIterator<Item = Share>) {
        let normal = |share: Share| Arc::new(Share { path: normal_path(&share.path), ..share });
        let shares: Vec<Arc<Share>> = shares.into_iter().map(normal).collect();
        let mut maps = self.maps.write();
        // All of them first: one may have the path that another gives up.
        for share in &shares {
            maps.remove(share.dataset);
        }
        for share in shares {
            if let Some(other) = maps.by_path.insert(share.path.clone(), share.clone()) {
                maps.by_dataset.remove(&other.dataset);
            }
            maps.by_dataset.insert(share.dataset, share);
        }
    }

    /// Ends a dataset's share; handles of it become stale.
    pub fn remove(&self, dataset: DatasetId) -> Option<Arc<Share>> {
        self.maps.write().remove(dataset)
    }

    /// The share of a dataset.
    pub fn by_dataset(&self, dataset: DatasetId) -> Option<Arc<Share>> {
        self.maps.read().by_dataset.get(&dataset).cloned()
    }

    /// The share whose path is the longest front of `path`, and the names that follow it.
    pub fn by_path<'a>(&self, path: &'a [u8]) -> Option<(Arc<Share>, Vec<&'a [u8]>)> {
        let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let maps = self.maps.read();
        (0..=names.len()).rev().find_map(|count| {
            let front = std::str::from_utf8(&joined(&names[..count])).ok()?.to_owned();
            Some((maps.by_path.get(&front)?.clone(), names[count..].to_vec()))
        })
    }

    /// All shares by path.
    pub fn list(&self) -> Vec<Arc<Share>> {
        self.maps.read().by_path.values().cloned().collect()
    }
}

impl Maps {
    fn remove(&mut self, dataset: DatasetId) -> Option<Arc<Share>> {
        let share = self.by_dataset.remove(&dataset)?;
        self.by_path.remove(&share.path);
        Some(share)
    }
}

fn joined(names: &[&[u8]]) -> Vec<u8> {
    if names.is_empty() {
        return b"/".to_vec();
    }
    names.iter().flat_map(|name| [b"/", *name]).flatten().copied().collect()
}

/// One slash before each name, none at the end.
fn normal_path(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    format!("/{}", names.join("/"))
}
