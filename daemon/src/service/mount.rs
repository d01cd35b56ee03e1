//! Mounts on the daemon's host.

use cow_api::v1::{Change, Code, Happening, Mount, Mounts, NewMount, Problem};
use cow_storage::format::{DatasetId, SnapshotId};

use crate::service::{Answer, Service};

/// What the service asks of what mounts on this host.
pub trait LocalMounts: Send + Sync {
    /// Mounts, and remembers it.
    fn mount(&self, order: &NewMount) -> Answer<Mount>;
    /// Ends the mount at a path, or all of a dataset or snapshot; with `force` whoever uses them.
    fn unmount(&self, path_or_name: &str, force: bool) -> Answer<Vec<Mount>>;
    /// All mounts, by path.
    fn list(&self) -> Vec<Mount>;
    /// Where a dataset or any of its snapshots is mounted, or only this snapshot.
    fn paths_of(&self, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Vec<String>;
    /// Returns when programs see what a dataset has now, after all of it has changed.
    fn content_changed(&self, dataset: DatasetId);
}

impl Service {
    /// Mounts a dataset or snapshot on the daemon's host.
    pub fn mount(&self, order: &NewMount) -> Answer<Mount> {
        let mounts = self.mounts.get().ok_or_else(not_here)?;
        let mount = mounts.mount(order)?;
        self.mount_changed(&mount, Change::Mounted);
        Ok(mount)
    }

    /// Unmounts by path or name.
    pub fn unmount(&self, path_or_name: &str, force: bool) -> Answer<Mounts> {
        let mounts = self.mounts.get().ok_or_else(not_here)?.unmount(path_or_name, force)?;
        mounts.iter().for_each(|mount| self.mount_changed(mount, Change::Unmounted));
        Ok(Mounts { mounts })
    }

    /// All mounts on the daemon's host.
    pub fn mounts(&self) -> Mounts {
        Mounts { mounts: self.mounts.get().map_or_else(Vec::new, |mounts| mounts.list()) }
    }

    /// Fails if a dataset, or this snapshot of it, is mounted.
    pub(super) fn check_not_mounted(&self, name: &str, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Answer<()> {
        let paths = self.mounts.get().map_or_else(Vec::new, |mounts| mounts.paths_of(dataset, snapshot));
        match paths.first() {
            None => Ok(()),
            Some(path) => {
                let problem = Problem::new(Code::Busy, format!("{name} is mounted at {path}"));
                Err(problem.with_hint(format!("'cowctl umount {path}' ends that")))
            }
        }
    }

    /// Returns when local mounts show what a dataset has now.
    pub(super) fn content_changed(&self, dataset: DatasetId) {
        if let Some(mounts) = self.mounts.get() {
            mounts.content_changed(dataset);
        }
    }

    fn mount_changed(&self, mount: &Mount, change: Change) {
        let (name, path) = (mount.name.clone(), mount.path.clone());
        self.parts.events.publish(Happening::Mount { name, path, change });
    }
}

fn not_here() -> Problem {
    Problem::new(Code::Unavailable, "the daemon is starting".to_owned())
}
