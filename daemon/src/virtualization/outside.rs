//! What recipes need of the world: datasets, and hosts. Tests stand in for both.
//!
//! Invariant: what is called "to be so" may be asked for again when it is so already, so that any act can be repeated
//! after a crash.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::hosts;
use crate::plugins;
use crate::plugins::{Connection, Credentials, Package, Script, ScriptOutput, Sync as Fetch};
use crate::service::Answer;
use crate::virtualization::records::{Mounted, Place};

/// Datasets.
pub trait Store: Send + Sync {
    /// Whether there is a dataset or snapshot of that name.
    fn exists(&self, name: &str) -> Answer<bool>;
    /// Makes a dataset, and those above it that are missing.
    fn create(&self, name: &str, block_size: u64) -> Answer<()>;
    /// Makes a dataset with a snapshot's content.
    fn clone_snapshot(&self, snapshot: &str, name: &str) -> Answer<()>;
    /// Takes a snapshot, by its full name.
    fn snapshot(&self, name: &str) -> Answer<()>;
    /// No dataset with anything below it, or no snapshot, of that name is to be.
    fn destroy(&self, name: &str) -> Answer<()>;
    /// Only these hosts are to mount a dataset; none at all, nobody. A dataset that is not there is none's.
    fn share(&self, dataset: &str, hosts: &[IpAddr], root_squash: bool) -> Answer<()>;
    /// A directory of a dataset, `/` for its root, is to be there and to belong to a user and a group.
    fn own(&self, dataset: &str, directory: &str, owner: (u32, u32)) -> Answer<()>;
    /// A dataset or snapshot is to be mounted on the engine's own host.
    fn mount_here(&self, name: &str, path: &Path) -> Answer<()>;
    /// Nothing is to be mounted there.
    fn unmount_here(&self, path: &Path) -> Answer<()>;
    /// A snapshot is to be held by a tag.
    fn hold(&self, snapshot: &str, tag: &str) -> Answer<()>;
    /// It is not to be held by that tag. A snapshot that is not there is held by none.
    fn release(&self, snapshot: &str, tag: &str) -> Answer<()>;
    /// All snapshots of sources, with the tags that hold them.
    fn snapshots(&self) -> Answer<Vec<(String, Vec<String>)>>;
    /// Datasets of sources that any host may mount.
    fn shared(&self) -> Answer<Vec<String>>;
    /// What is mounted on the engine's own host in a directory, or was and left its place.
    fn left_here(&self, directory: &Path) -> Answer<Vec<PathBuf>>;
    /// What is mounted on the engine's own host, by name.
    fn mounted_here(&self) -> Answer<Vec<String>>;
    /// All snapshots of sources that are held, once for each tag.
    fn holds(&self) -> Answer<Vec<(String, String)>> {
        let all = self.snapshots()?.into_iter();
        Ok(all.flat_map(|(name, tags)| tags.into_iter().map(move |tag| (name.clone(), tag))).collect())
    }
    /// Stored bytes that something refers to, of the whole pool.
    fn live(&self) -> Answer<u64>;
    /// All datasets at or below a name.
    fn below(&self, name: &str) -> Answer<Vec<String>>;
}

/// Installed plugins.
pub trait Packages: Send + Sync {
    /// By UUID or name.
    fn package(&self, id_or_name: &str) -> Answer<Arc<Package>>;
    /// All.
    fn all(&self) -> Answer<Vec<Arc<Package>>>;
}

/// Whether to stop.
pub type IsCancelled<'c> = &'c (dyn Fn() -> bool + Sync);

/// Whether to stop, as plugins and hosts ask it.
pub struct Stop<'c>(pub IsCancelled<'c>);

impl plugins::Control for Stop<'_> {
    fn is_cancelled(&self) -> bool {
        (self.0)()
    }
}

impl hosts::Control for Stop<'_> {
    fn is_cancelled(&self) -> bool {
        (self.0)()
    }
}

/// Hears how many bytes have been copied.
pub type Copied<'c> = &'c (dyn Fn(u64) + Sync);

/// Whether to stop, and who hears how far a copy is.
pub struct Copying<'c>(pub IsCancelled<'c>, pub Copied<'c>);

impl hosts::Control for Copying<'_> {
    fn is_cancelled(&self) -> bool {
        (self.0)()
    }

    fn copied(&self, bytes: u64) {
        (self.1)(bytes);
    }
}

/// Hosts.
pub trait Ground: Send + Sync {
    /// An environment by name, and a user there; its first by default.
    fn place(&self, environment: &str, user: Option<&str>) -> Answer<Place>;
    /// The names of all environments.
    fn environments(&self) -> Answer<Vec<String>>;
    /// The name of an environment.
    fn name(&self, environment: u64) -> Answer<String>;
    /// How a plugin is told of a place.
    fn connection(&self, place: &Place) -> Answer<Connection>;
    /// The environment that a reference of a plugin's means.
    fn environment(&self, reference: &str) -> Answer<u64>;
    /// The user and group ids of a place's user.
    fn ids(&self, place: &Place, is_cancelled: IsCancelled<'_>) -> Answer<(u32, u32)>;
    /// The address by which a host mounts.
    fn address(&self, place: &Place, is_cancelled: IsCancelled<'_>) -> Answer<IpAddr>;
    /// An export of the engine, `/dataset`, is to be mounted on a host.
    fn mount(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<()>;
    /// It is not to be mounted there.
    fn unmount(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<()>;
    /// Runs bash.
    fn run(&self, script: &Script, is_cancelled: IsCancelled<'_>) -> Answer<ScriptOutput>;
    /// Brings a tree from a host. `copied` hears of how many bytes that is done, now and then.
    fn pull(&self, fetch: &Fetch, to: &Path, is_cancelled: IsCancelled<'_>, copied: Copied<'_>) -> Answer<()>;
    /// Brings a tree to a host.
    fn push(&self, from: &Path, place: &Place, directory: &str, is_cancelled: IsCancelled<'_>) -> Answer<()>;
    /// What a credentials supplier gives.
    fn credentials(&self, supplier: &Map<String, Value>) -> Answer<Credentials>;
}
