//! Gives what was written its owner, extended attributes, mode and times, in the order in which none undoes another.
//!
//! A new owner ends set-user-id bits and capabilities; a mode without write permission forbids attributes; and all of
//! them change times.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};

use cow_storage::error::Result;
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{Attributes, Context, FileKind, FileSystem};
use rustix::fs::{
    self, AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, futimens, lsetxattr, openat, utimensat,
};
use rustix::io::Errno;

use crate::workflows::host::{HostFolder, host_error, host_name};

/// The set-user-id and set-group-id bits.
const SET_ID: u32 = 0o6000;

/// Gives objects of the host the attributes of objects of the source.
pub struct Dresser<'d> {
    source: &'d dyn FileSystem,
    context: &'d Context,
    /// Whether owners can be kept.
    pub keeps_owners: bool,
    refused: AtomicU64,
}

impl<'d> Dresser<'d> {
    pub(super) fn new(source: &'d dyn FileSystem, context: &'d Context, keeps_owners: bool) -> Self {
        Self { source, context, keeps_owners, refused: AtomicU64::new(0) }
    }

    /// Extended attributes that the host did not take.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Dresses an open file or directory.
    pub(super) fn dress_open(&self, file: impl AsFd, attributes: &Attributes) -> Result<()> {
        let file = file.as_fd();
        if self.keeps_owners {
            let (owner, group) = owners(attributes);
            fchown(file, owner, group).map_err(|errno| host_error(errno, "cannot set its owner"))?;
        }
        self.put_xattrs(attributes.inode, |name, value| fsetxattr(file, name, value, XattrFlags::empty()))?;
        fchmod(file, self.mode(attributes)).map_err(|errno| host_error(errno, "cannot set its mode"))?;
        futimens(file, &times(attributes)).map_err(|errno| host_error(errno, "cannot set its times"))
    }

    /// Dresses what cannot be opened: a symbolic link, a device, a pipe, a socket.
    pub(super) fn dress_named(&self, folder: &HostFolder, name: &[u8], attributes: &Attributes) -> Result<()> {
        if self.keeps_owners {
            let (owner, group) = owners(attributes);
            chownat(folder, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| host_error(errno, "cannot set its owner"))?;
        }
        let path = folder.path_of(name);
        self.put_xattrs(attributes.inode, |name, value| lsetxattr(&path, name, value, XattrFlags::empty()))?;
        if attributes.kind != FileKind::Symlink {
            let itself = open_itself(folder, name).map_err(|errno| host_error(errno, "cannot find it again"))?;
            let path = HostFolder::path_of_open(&itself);
            chmodat(CWD, &path, self.mode(attributes), AtFlags::empty())
                .map_err(|errno| host_error(errno, "cannot set its mode"))?;
        }
        utimensat(folder, name, &times(attributes), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| host_error(errno, "cannot set its times"))
    }

    /// Sets extended attributes. That a host knows none of a kind, or lets only root have it, loses nothing else.
    fn put_xattrs(&self, inode: InodeNumber, put: impl Fn(&OsStr, &[u8]) -> Result<(), Errno>) -> Result<()> {
        for name in self.source.list_xattrs(self.context, inode)? {
            let value = self.source.xattr(self.context, inode, &name)?;
            match put(OsStr::from_bytes(host_name(&name)), &value) {
                Ok(()) => {}
                Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(errno) => {
                    let act = format!("cannot set its extended attribute {}", name.escape_ascii());
                    return Err(host_error(errno, act));
                }
            }
        }
        Ok(())
    }

    fn mode(&self, attributes: &Attributes) -> Mode {
        let kept = if self.keeps_owners || attributes.kind == FileKind::Directory { 0o7777 } else { 0o7777 & !SET_ID };
        Mode::from_raw_mode(attributes.mode & kept)
    }
}

fn open_itself(folder: &HostFolder, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn owners(attributes: &Attributes) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))
}

fn times(attributes: &Attributes) -> Timestamps {
    let time = |time: Timestamp| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time(attributes.accessed), last_modification: time(attributes.modified) }
}

/// The kind of a node that `mknod` makes.
pub fn node_kind(kind: FileKind) -> Option<fs::FileType> {
    match kind {
        FileKind::BlockDevice => Some(fs::FileType::BlockDevice),
        FileKind::CharacterDevice => Some(fs::FileType::CharacterDevice),
        FileKind::Fifo => Some(fs::FileType::Fifo),
        FileKind::Socket => Some(fs::FileType::Socket),
        FileKind::Regular | FileKind::Directory | FileKind::Symlink => None,
    }
}
