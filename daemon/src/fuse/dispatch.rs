//! From the kernel's requests to what is done, and back: a method for each kind.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use cow_storage::fs::{AttributeChange, NewObject};
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, INodeNo, IoctlFlags, KernelConfig, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyIoctl, ReplyLock, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use crate::fuse::agreement::agree;
use crate::fuse::answers::{DIRECT, Dispatch, GENERATION, handle, inode, place, wanted};
use crate::fuse::attributes::{kind, node, set_time};
use crate::fuse::counters::Operation;
use crate::fuse::locking;
use crate::fuse::volume::Volume;

/// What room is counted in.
const ROOM_BLOCK_LEN: u64 = 4096;

impl Filesystem for Dispatch {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.0.direct.store(agree(config), Ordering::Relaxed);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(Operation::Lookup, reply, |volume| volume.look_up(request.into(), place(parent, name)));
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.0.nodes.forget(inode(ino), nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.run(Operation::Getattr, |volume| volume.attributes(inode(ino))) {
            Ok(found) => reply.attr(&self.0.lifetime(), &self.0.shown(&found)),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        fh: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = AttributeChange {
            mode: mode.map(|mode| mode & 0o7777),
            uid,
            gid,
            size,
            accessed: atime.map(set_time),
            modified: mtime.map(set_time),
            created: None,
        };
        let set = |volume: &Volume| volume.set(request.into(), inode(ino), &change, fh.is_some());
        match self.run(Operation::Setattr, set) {
            Ok(found) => reply.attr(&self.0.lifetime(), &self.0.shown(&found)),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.run(Operation::Readlink, |volume| volume.read_link(inode(ino))) {
            Ok(target) => reply.data(&target),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, rdev: u32, reply: ReplyEntry) {
        self.entry(Operation::Mknod, reply, |volume| {
            volume.make(request.into(), place(parent, name), &node(mode, rdev)?, mode)
        });
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        self.entry(Operation::Mkdir, reply, |volume| {
            volume.make(request.into(), place(parent, name), &NewObject::Directory, mode)
        });
    }

    fn symlink(&self, request: &Request, parent: INodeNo, link_name: &OsStr, target: &Path, reply: ReplyEntry) {
        let object = NewObject::Symlink(target.as_os_str().as_bytes().to_vec());
        self.entry(Operation::Symlink, reply, |volume| {
            volume.make(request.into(), place(parent, link_name), &object, 0o777)
        });
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(Operation::Unlink, reply, |volume| volume.remove(request.into(), place(parent, name)));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(Operation::Rmdir, reply, |volume| volume.remove_directory(request.into(), place(parent, name)));
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (place(parent, name), place(newparent, newname));
        self.empty(Operation::Rename, reply, |volume| volume.rename(request.into(), from, to, flags));
    }

    fn link(&self, request: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        self.entry(Operation::Link, reply, |volume| volume.link(request.into(), inode(ino), place(newparent, newname)));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let at = place(parent, name);
        let made = self.run(Operation::Create, |volume| volume.make_and_open(request.into(), at, mode, flags));
        match made {
            Ok((found, flags)) => {
                reply.created(&self.0.lifetime(), &self.0.shown(&found), GENERATION, handle(flags), flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.opened(Operation::Open, reply, |volume| volume.open(request.into(), inode(ino), flags));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut reply = Some(reply);
        let answer = |bytes: &[u8]| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        };
        let done = self.run(Operation::Read, |volume| volume.read(inode(ino), offset, size, answer));
        if let (Err(errno), Some(reply)) = (done, reply) {
            reply.error(errno);
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let takes_setid = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        match self.run(Operation::Write, |volume| volume.write(inode(ino), offset, data, takes_setid, fh == DIRECT)) {
            Ok(written) => reply.written(written),
            Err(errno) => reply.error(errno),
        }
    }

    /// A descriptor is closed, and with it the process gives its locks of the file back. What was written is the
    /// daemon's already, as it is the kernel's on a disk.
    fn flush(&self, _: &Request, ino: INodeNo, _: FileHandle, lock_owner: LockOwner, reply: ReplyEmpty) {
        self.empty(Operation::Flush, reply, |volume| {
            volume.locking.release(inode(ino), lock_owner.0);
            Ok(())
        });
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        lock_owner: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.empty(Operation::Release, reply, |volume| {
            // Given where the opening itself had the file locked, by flock(2).
            if let Some(owner) = lock_owner {
                volume.locking.release(inode(ino), owner.0);
            }
            volume.release(inode(ino));
            Ok(())
        });
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(Operation::Fsync, reply, |volume| volume.sync(inode(ino)));
    }

    fn opendir(&self, request: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.opened(Operation::Opendir, reply, |volume| volume.open_directory(request.into(), inode(ino)));
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.run(Operation::Readdir, |volume| {
            volume.list(inode(ino), offset, |entry| {
                !reply.add(INodeNo(entry.inode.0), entry.cookie, kind(entry.kind), OsStr::from_bytes(&entry.name))
            })
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdirplus(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        let lifetime = self.0.lifetime();
        let listed = self.run(Operation::Readdirplus, |volume| {
            volume.list_with_attributes(inode(ino), offset, |entry, found| {
                let (number, name) = (INodeNo(entry.inode.0), OsStr::from_bytes(&entry.name));
                !reply.add(number, entry.cookie, name, &lifetime, &volume.shown(found), GENERATION)
            })
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn releasedir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.empty(Operation::Release, reply, |volume| {
            volume.release(inode(ino));
            Ok(())
        });
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(Operation::Fsyncdir, reply, |volume| volume.sync(inode(ino)));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.1.answer();
        match self.run(Operation::Statfs, |volume| volume.usage()) {
            Ok(usage) => {
                // Inodes are made as they are needed, from the same room as data.
                let inodes_free = usage.free / u64::from(self.0.files().block_size().max(1));
                let (blocks, free) = (usage.total / ROOM_BLOCK_LEN, usage.free / ROOM_BLOCK_LEN);
                let (inodes, length) = (usage.inodes + inodes_free, ROOM_BLOCK_LEN as u32);
                let name_max = cow_storage::fs::NAME_MAX as u32;
                reply.statfs(blocks, free, free, inodes, inodes_free, length, name_max, length);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        self.empty(Operation::Xattr, reply, |volume| {
            volume.set_xattr(request.into(), inode(ino), name.as_bytes(), value, flags)
        });
    }

    fn getxattr(&self, request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.sized(reply, |volume| volume.xattr(request.into(), inode(ino), name.as_bytes(), size));
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.sized(reply, |volume| volume.list_xattrs(request.into(), inode(ino), size));
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(Operation::Xattr, reply, |volume| volume.remove_xattr(request.into(), inode(ino), name.as_bytes()));
    }

    fn access(&self, request: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        self.empty(Operation::Access, reply, |volume| volume.access(request.into(), inode(ino), mask));
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn fallocate(
        &self,
        request: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.empty(Operation::Fallocate, reply, |volume| {
            volume.allocate(request.into(), inode(ino), (offset, length), mode)
        });
    }

    fn getlk(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        lock_owner: LockOwner,
        start: u64,
        end: u64,
        typ: i32,
        pid: u32,
        reply: ReplyLock,
    ) {
        let wanted = wanted(ino, lock_owner, (start, end), typ, pid);
        match self.run(Operation::Lock, |volume| volume.locking.test(wanted)) {
            Ok(Some(((first, last), kind, process))) => reply.locked(first, last, kind, process),
            Ok(None) => reply.locked(0, 0, locking::NONE, 0),
            Err(errno) => reply.error(errno),
        }
    }

    fn setlk(
        &self,
        request: &Request,
        ino: INodeNo,
        _: FileHandle,
        lock_owner: LockOwner,
        start: u64,
        end: u64,
        typ: i32,
        pid: u32,
        sleep: bool,
        reply: ReplyEmpty,
    ) {
        let wanted = wanted(ino, lock_owner, (start, end), typ, pid);
        // Answered when the lock is held, which may be long after.
        let _ = self.run(Operation::Lock, |volume| {
            volume.locking.set(wanted, sleep, request.pid(), reply);
            Ok(())
        });
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        match self.run(Operation::Lseek, |volume| volume.seek(inode(ino), offset, whence)) {
            Ok(found) => reply.offset(found),
            Err(errno) => reply.error(errno),
        }
    }
}
