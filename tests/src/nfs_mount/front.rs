//! The kernel's requests, answered by calls to the server.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::OFlags;

use crate::nfs_client::{Call, Handle, Set, WireTime};
use crate::nfs_mount::files::{Done, Files, TRANSFER_MAX, kind};
use crate::nfs_mount::nodes::{Nodes, Opening};
use crate::nfs_mount::server::{Server, user};

/// How long the kernel may go by what it was told.
const LIFETIME: Duration = Duration::from_secs(1);
/// How often what was written is made durable, whoever asks for it.
const COMMIT_PAUSE: Duration = Duration::from_secs(5);
const GENERATION: Generation = Generation(0);
const FSSTAT: u32 = 18;

/// A mount, as the kernel asks it.
pub struct Front(Arc<Files>);

impl Front {
    /// A mount of a server's directory.
    pub fn new(server: Server, root: Handle) -> Self {
        let inner = Arc::new(Files::new(server, Nodes::new(root)));
        let weak = Arc::downgrade(&inner);
        thread::spawn(move || {
            loop {
                thread::sleep(COMMIT_PAUSE);
                let Some(inner) = weak.upgrade() else { break };
                inner.commit_all();
            }
        });
        Self(inner)
    }
}

fn wire_time(time: TimeOrNow) -> WireTime {
    match time {
        TimeOrNow::Now => Set::NOW,
        TimeOrNow::SpecificTime(time) => {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            (since.as_secs().min((u32::MAX - 1).into()) as u32, since.subsec_nanos())
        }
    }
}

fn with_mode(mode: u32) -> Set {
    Set { mode: Some(mode & 0o7777), ..Set::default() }
}

fn empty(reply: ReplyEmpty, done: Done<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

fn entry(reply: ReplyEntry, done: Done<(Handle, FileAttr)>) {
    match done {
        Ok((_, attributes)) => reply.entry(&LIFETIME, &attributes, GENERATION),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Front {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS | InitFlags::FUSE_HANDLE_KILLPRIV_V2);
        let _ = config.set_max_write(TRANSFER_MAX);
        Ok(())
    }

    fn destroy(&mut self) {
        self.0.commit_all();
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.nodes.handle(parent).and_then(|at| self.0.look_up(&user(request), &at, name.as_bytes()));
        entry(reply, found);
    }

    fn getattr(&self, request: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        let user = fh.map_or_else(|| user(request), |fh| self.0.opener(fh.0, request));
        let found = self.0.nodes.handle(ino).and_then(|file| Ok((self.0.attributes(&user, &file)?, file)));
        match found {
            Ok((attributes, file)) => reply.attr(&LIFETIME, &self.0.shown(&file, &attributes)),
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
        let (accessed, modified) = (atime.map(wire_time), mtime.map(wire_time));
        let set = Set { mode: mode.map(|mode| mode & 0o7777), uid, gid, size, accessed, modified };
        let only_size = set == Set { size, ..Set::default() };
        let user = fh.filter(|_| only_size).map_or_else(|| user(request), |fh| self.0.opener(fh.0, request));
        let done = self.0.nodes.handle(ino).and_then(|file| {
            // Else what is cut off here would come back with what is written again, or with an older time.
            self.0.commit(&file)?;
            let around = self.0.ask(&user, &Call::set_attributes(&file, &set, None), |reader| reader.around())?;
            let attributes = around.after.map_or_else(|| self.0.attributes(&user, &file), Ok)?;
            Ok(self.0.shown(&file, &attributes))
        });
        match done {
            Ok(attributes) => reply.attr(&LIFETIME, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, request: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self.0.nodes.handle(ino).and_then(|link| {
            self.0.ask(&user(request), &Call::read_link(&link), |reader| {
                reader.after()?;
                Ok(reader.opaque()?.to_vec())
            })
        });
        match target {
            Ok(target) => reply.data(&target),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.0.nodes.handle(parent).and_then(|at| {
            let call = match mode & 0o170_000 {
                0o140_000 => Call::make_node(&at, name.as_bytes(), 6, &with_mode(mode)),
                0o010_000 => Call::make_node(&at, name.as_bytes(), 7, &with_mode(mode)),
                0 | 0o100_000 => Call::create(&at, name.as_bytes(), 1, &with_mode(mode)),
                _ => return Err(Errno::EPERM),
            };
            self.0.make(&user(request), &at, name.as_bytes(), &call)
        });
        entry(reply, made);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let made = self.0.nodes.handle(parent).and_then(|at| {
            let call = Call::make_directory(&at, name.as_bytes(), &with_mode(mode));
            self.0.make(&user(request), &at, name.as_bytes(), &call)
        });
        entry(reply, made);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let made = self.0.nodes.handle(parent).and_then(|at| {
            let target = target.as_os_str().as_bytes();
            let call = Call::make_symlink(&at, name.as_bytes(), &Set::default(), target);
            self.0.make(&user(request), &at, name.as_bytes(), &call)
        });
        entry(reply, made);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.0.nodes.handle(parent).and_then(|at| self.0.remove(&user(request), &at, name.as_bytes()));
        empty(reply, done);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.0.nodes.handle(parent).and_then(|at| {
            let call = Call::remove_directory(&at, name.as_bytes());
            self.0.ask_once(&user(request), &call, Errno::ENOENT, |_| Ok(())).map(drop)
        });
        empty(reply, done);
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
        let user = user(request);
        let done = self.0.nodes.handle(parent).and_then(|from| {
            let to = self.0.nodes.handle(newparent)?;
            if !flags.is_empty() {
                return Err(Errno::EINVAL);
            }
            self.0.rename(&user, (&from, name.as_bytes()), (&to, newname.as_bytes()))
        });
        empty(reply, done);
    }

    fn link(&self, request: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        let user = user(request);
        let made = self.0.nodes.handle(ino).and_then(|file| {
            let at = self.0.nodes.handle(newparent)?;
            let call = Call::link(&file, &at, newname.as_bytes());
            self.0.ask_once(&user, &call, Errno::EEXIST, |_| Ok(()))?;
            self.0.look_up(&user, &at, newname.as_bytes())
        });
        entry(reply, made);
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
        let user = user(request);
        let made = self.0.nodes.handle(parent).and_then(|at| {
            let exclusive = OFlags::from_bits_retain(flags as u32).contains(OFlags::EXCL);
            let call = Call::create(&at, name.as_bytes(), exclusive.into(), &with_mode(mode));
            self.0.make(&user, &at, name.as_bytes(), &call)
        });
        match made {
            Ok((_, attributes)) => {
                let descriptor = self.0.nodes.open(attributes.ino, Opening::File(user));
                reply.created(&LIFETIME, &attributes, GENERATION, FileHandle(descriptor), FopenFlags::empty());
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, request: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.open(user(request), ino) {
            Ok(descriptor) => reply.opened(FileHandle(descriptor), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let user = self.0.opener(fh.0, request);
        match self.0.nodes.handle(ino).and_then(|file| self.0.read(&user, &file, offset, size)) {
            Ok(data) => reply.data(&data),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let user = self.0.opener(fh.0, request);
        match self.0.nodes.handle(ino).and_then(|file| self.0.write(&user, &file, offset, data)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, ino: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // As Linux does when a file is closed: who opens it next finds what was written, whatever became of the server.
        empty(reply, self.0.nodes.handle(ino).and_then(|file| self.0.commit(&file)));
    }

    fn release(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let user = self.0.opener(fh.0, request);
        self.0.close(&user, ino, fh.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.0.nodes.handle(ino).and_then(|file| self.0.commit(&file)));
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        // What changes names is durable when the server has answered.
        reply.ok();
    }

    fn opendir(&self, request: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.nodes.handle(ino).and_then(|at| self.0.list(&user(request), &at)) {
            Ok(entries) => {
                reply.opened(FileHandle(self.0.nodes.open(ino, Opening::Listing(entries))), FopenFlags::empty());
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.0.nodes.list(fh.0, offset as usize, |place, entry| {
            let kind = kind(entry.attributes.as_ref().map_or(1, |attributes| attributes.kind));
            !reply.add(INodeNo(entry.inode), place as u64 + 1, kind, OsStr::from_bytes(&entry.name))
        });
        reply.ok();
    }

    fn releasedir(&self, _: &Request, ino: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.nodes.close(ino, fh.0);
        reply.ok();
    }

    fn statfs(&self, request: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let told = self.0.nodes.handle(ino).and_then(|file| {
            self.0.ask(&user(request), &Call::facts(FSSTAT, &file), |reader| {
                reader.after()?;
                Ok([reader.long()?, reader.long()?, reader.long()?, reader.long()?, reader.long()?])
            })
        });
        match told {
            Ok([total, free, available, files, files_free]) => {
                reply.statfs(total >> 12, free >> 12, available >> 12, files, files_free, 4096, 255, 4096);
            }
            Err(errno) => reply.error(errno),
        }
    }
}
