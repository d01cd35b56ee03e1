//! Steps that a host's administrator allows by sudo: mount, umount, mkdir, rmdir and chown, and no others.
//!
//! Invariant: each is done when it ends well, also when it had been done before, so that any of them may be repeated.

use crate::hosts::ssh::not_yet;
use crate::hosts::{Control, Hosts, Outcome, Target};

/// What to mount on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMount {
    /// What is mounted, as `server:/export`.
    pub source: String,
    /// Where, an absolute path.
    pub path: String,
    /// Options of mount, as `vers=3,tcp,hard,port=2049`.
    pub options: String,
}

/// What is mounted at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// What is mounted, as `server:/export`.
    pub source: String,
    /// The file system's type, as `nfs`.
    pub kind: String,
}

impl Hosts {
    /// Mounts by NFS. Mounted already is a success; anything else mounted there is an error.
    pub fn mount(&self, target: &Target, _mount: &RemoteMount, _control: &dyn Control) -> Outcome<()> {
        Err(not_yet(target, "mount"))
    }

    /// Unmounts what is mounted at a path from that source, by force if it is in use or its server is gone. Not mounted is a
    /// success; anything else that is mounted there stays, and is an error.
    pub fn unmount(&self, target: &Target, _mount: &RemoteMount, _control: &dyn Control) -> Outcome<()> {
        Err(not_yet(target, "unmount"))
    }

    /// What is mounted at a path, the topmost.
    pub fn mounted(&self, target: &Target, _path: &str, _control: &dyn Control) -> Outcome<Option<MountPoint>> {
        Err(not_yet(target, "list mounts"))
    }

    /// Makes a directory and those above it. Returns whether it was not there.
    pub fn make_directory(&self, target: &Target, _path: &str, _control: &dyn Control) -> Outcome<bool> {
        Err(not_yet(target, "make a directory"))
    }

    /// Removes an empty directory. Not there is a success.
    pub fn remove_directory(&self, target: &Target, _path: &str, _control: &dyn Control) -> Outcome<()> {
        Err(not_yet(target, "remove a directory"))
    }

    /// Gives one directory or file to a user and a group; `None` is the target's user and its group.
    pub fn change_owner(
        &self,
        target: &Target,
        _path: &str,
        _owner: Option<(u32, u32)>,
        _control: &dyn Control,
    ) -> Outcome<()> {
        Err(not_yet(target, "change an owner"))
    }
}
