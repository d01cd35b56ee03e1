//! How requests are run and answered, whatever they ask.
//!
//! Invariant: every request is answered once; a panic in one is that one's failure and nobody else's.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use cow_storage::format::InodeNumber;
use cow_storage::fs::Attributes;
use fuser::{
    Errno, FileHandle, FopenFlags, Generation, INodeNo, LockOwner, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr,
};

use crate::fuse::counters::Operation;
use crate::fuse::failure::Outcome;
use crate::fuse::locking::Wanted;
use crate::fuse::names::Place;
use crate::fuse::roll::{Roll, catching};
use crate::fuse::volume::Volume;
use crate::fuse::xattrs::Sized;

/// Inode numbers are never used again, so nothing else tells two inodes apart.
pub const GENERATION: Generation = Generation(0);
/// Nothing is kept of an opening but that there is one, and whether it passes the kernel's pages by.
pub const HANDLE: FileHandle = FileHandle(0);
/// An opening that does.
pub const DIRECT: FileHandle = FileHandle(1);

/// What is kept of an opening that the kernel is to treat so.
pub fn handle(flags: FopenFlags) -> FileHandle {
    if flags.contains(FopenFlags::FOPEN_DIRECT_IO) { DIRECT } else { HANDLE }
}

/// A volume, as the kernel asks it, and who answers.
pub struct Dispatch(pub Arc<Volume>, pub Arc<Roll>);

/// An inode, by the kernel's number.
pub fn inode(number: INodeNo) -> InodeNumber {
    InodeNumber(number.0)
}

/// A name in a directory.
pub fn place(directory: INodeNo, name: &OsStr) -> Place<'_> {
    Place { directory: inode(directory), name: name.as_bytes() }
}

/// A lock, as a program asks for it.
pub fn wanted(ino: INodeNo, owner: LockOwner, bytes: (u64, u64), kind: i32, process: u32) -> Wanted {
    Wanted { inode: inode(ino), owner: owner.0, bytes, kind, process }
}

impl Dispatch {
    /// Does what a request asks, and counts it.
    pub fn run<T>(&self, operation: Operation, act: impl FnOnce(&Volume) -> Outcome<T>) -> Result<T, Errno> {
        let (began, volume) = (Instant::now(), &*self.0);
        let done = catching(|| catch_unwind(AssertUnwindSafe(|| act(volume))));
        let done = done.map_or_else(
            |_panic| {
                volume.counting.panics.fetch_add(1, Ordering::Relaxed);
                Err(Errno::EIO)
            },
            |outcome| outcome.map_err(|failure| failure.0),
        );
        volume.counting.call(operation, began.elapsed(), done.is_err());
        done
    }

    /// Answers whether it was done.
    pub fn empty<T>(&self, operation: Operation, reply: ReplyEmpty, act: impl FnOnce(&Volume) -> Outcome<T>) {
        match self.run(operation, act) {
            Ok(_) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    /// Answers what a name names.
    pub fn entry(&self, operation: Operation, reply: ReplyEntry, act: impl FnOnce(&Volume) -> Outcome<Attributes>) {
        match self.run(operation, act) {
            Ok(found) => reply.entry(&self.0.lifetime(), &self.0.shown(&found), GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    /// Answers how the kernel is to treat what was opened.
    pub fn opened(&self, operation: Operation, reply: ReplyOpen, act: impl FnOnce(&Volume) -> Outcome<FopenFlags>) {
        match self.run(operation, act) {
            Ok(flags) => reply.opened(handle(flags), flags),
            Err(errno) => reply.error(errno),
        }
    }

    /// Answers bytes, or how many there are.
    pub fn sized(&self, reply: ReplyXattr, act: impl FnOnce(&Volume) -> Outcome<Sized>) {
        match self.run(Operation::Xattr, act) {
            Ok(Sized::Length(length)) => reply.size(length),
            Ok(Sized::Bytes(bytes)) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }
}
