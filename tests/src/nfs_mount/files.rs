//! What a mount does with files, by calls to the server.
//!
//! Invariant: a file that is open keeps its content when it loses its last name.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, INodeNo, Request};

use crate::nfs_client::{
    Call, Entry, Handle, Outcome, Reader, Stable, User, WireAttributes, WireTime, decode_read, decode_written,
};
use crate::nfs_mount::nodes::{Nodes, Opening};
use crate::nfs_mount::server::{Server, user};

/// Most bytes of a READ or WRITE.
pub const TRANSFER_MAX: u32 = 1 << 20;
/// Most bytes of a file that are kept until they are durable.
const UNSTABLE_MAX: usize = 32 << 20;
const LISTING_LEN: u32 = 256 << 10;

/// NFS's kinds, in the order of their numbers from 1 on.
const KINDS: [FileType; 7] = [
    FileType::RegularFile,
    FileType::Directory,
    FileType::BlockDevice,
    FileType::CharDevice,
    FileType::Symlink,
    FileType::Socket,
    FileType::NamedPipe,
];

/// What came of a request.
pub type Done<T> = Result<T, Errno>;

/// A server's files, as far as the kernel knows them.
pub struct Files {
    /// The server.
    pub server: Server,
    /// Their numbers.
    pub nodes: Nodes,
    /// Shared by who opens a file, alone for who takes a name away: one of them is first.
    names: RwLock<()>,
}

impl Files {
    /// Those of a server, of which the kernel knows these.
    pub fn new(server: Server, nodes: Nodes) -> Self {
        Self { server, nodes, names: RwLock::default() }
    }

    fn opening(&self) -> RwLockReadGuard<'_, ()> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn removing(&self) -> RwLockWriteGuard<'_, ()> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a file. Of one that went since its name was looked up, the kernel is told so, and looks the name up again.
    pub fn open(&self, user: User, number: INodeNo) -> Done<u64> {
        let _opening = self.opening();
        self.attributes(&user, &self.nodes.handle(number)?)?;
        Ok(self.nodes.open(number, Opening::File(user)))
    }

    /// Calls and decodes.
    pub fn ask<T>(&self, user: &User, call: &Call, decode: impl Fn(&mut Reader<'_>) -> Outcome<T>) -> Done<T> {
        self.server.ask(user, call, decode).0
    }

    /// The same for what cannot be done twice: if it may have been, `failure` means that it was done.
    pub fn ask_once<T>(
        &self,
        user: &User,
        call: &Call,
        failure: Errno,
        decode: impl Fn(&mut Reader<'_>) -> Outcome<T>,
    ) -> Done<Option<T>> {
        match self.server.ask(user, call, decode) {
            (Ok(done), _) => Ok(Some(done)),
            (Err(errno), true) if i32::from(errno) == i32::from(failure) => Ok(None),
            (Err(errno), _) => Err(errno),
        }
    }

    /// Closes a file, and removes it if it was there only for those who had it open.
    pub fn close(&self, user: &User, number: INodeNo, descriptor: u64) {
        let _removing = self.removing();
        if let Some((directory, name)) = self.nodes.close(number, descriptor) {
            let _ = self.ask_once(user, &Call::remove(&directory, &name), Errno::ENOENT, |_| Ok(()));
        }
    }

    /// GETATTR.
    pub fn attributes(&self, user: &User, file: &Handle) -> Done<WireAttributes> {
        self.ask(user, &Call::get_attributes(file), |reader| reader.attributes())
    }

    /// What a name names.
    pub fn look_up(&self, user: &User, directory: &Handle, name: &[u8]) -> Done<(Handle, FileAttr)> {
        let (handle, told) =
            self.ask(user, &Call::lookup(directory, name), |reader| Ok((reader.handle()?, reader.after()?)))?;
        let attributes = told.map_or_else(|| self.attributes(user, &handle), Ok)?;
        let shown = self.shown(&handle, &attributes);
        Ok((handle, shown))
    }

    /// Makes something by a call that answers with what was made.
    pub fn make(&self, user: &User, directory: &Handle, name: &[u8], call: &Call) -> Done<(Handle, FileAttr)> {
        let made =
            self.ask_once(user, call, Errno::EEXIST, |reader| Ok((reader.optional_handle()?, reader.after()?)))?;
        match made {
            Some((Some(handle), Some(attributes))) => {
                let shown = self.shown(&handle, &attributes);
                Ok((handle, shown))
            }
            _ => self.look_up(user, directory, name),
        }
    }

    /// Attributes as the kernel has them.
    pub fn shown(&self, handle: &Handle, attributes: &WireAttributes) -> FileAttr {
        let [accessed, modified, changed] = attributes.times.map(time);
        let (major, minor) = attributes.device;
        FileAttr {
            ino: self.nodes.number(handle, attributes.inode),
            size: attributes.size,
            blocks: attributes.used.div_ceil(512),
            atime: accessed,
            mtime: modified,
            ctime: changed,
            crtime: changed,
            kind: kind(attributes.kind),
            perm: (attributes.mode & 0o7777) as u16,
            nlink: attributes.links,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev: (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12),
            blksize: 128 << 10,
            flags: 0,
        }
    }

    /// For whom a file that is open is read and written.
    pub fn opener(&self, descriptor: u64, request: &Request) -> User {
        match self.nodes.opening(descriptor) {
            Some(Opening::File(user)) => user,
            _ => user(request),
        }
    }

    /// Writes all of `data`, of which the server may lose what is not committed.
    pub fn write(&self, user: &User, file: &Handle, offset: u64, data: &[u8]) -> Done<()> {
        let mut done = 0;
        while done < data.len() {
            let (at, piece) = (offset + done as u64, &data[done..]);
            let number = self.server.unstable.begin(file, user, at, piece);
            let call = Call::write(file, at, piece, Stable::No);
            let written = self.ask(user, &call, decode_written);
            let verifier = written.as_ref().ok().filter(|(_, promised, _)| *promised == 0).map(|written| written.2);
            self.server.unstable.end(file, number, verifier);
            done += written?.0 as usize;
        }
        if self.server.unstable.bytes(file) > UNSTABLE_MAX {
            self.commit(file)?;
        }
        Ok(())
    }

    /// Makes durable what was written so far.
    pub fn commit(&self, file: &Handle) -> Done<()> {
        while let Some((user, last)) = self.server.unstable.last(file) {
            let verifier = self.ask(&user, &Call::commit(file), |reader| {
                reader.around()?;
                reader.long()
            });
            match verifier {
                Ok(verifier) if self.server.unstable.committed(file, last, verifier) => {
                    // The server is another one than it was, though no connection told so.
                    self.server.rewrite()?;
                }
                Ok(_) => break,
                Err(errno) => {
                    self.server.unstable.forget(file);
                    return Err(errno);
                }
            }
        }
        Ok(())
    }

    /// Makes everything durable.
    pub fn commit_all(&self) {
        for file in self.server.unstable.files() {
            let _ = self.commit(&file);
        }
    }

    /// Gives a file that is open another name, if it is about to lose the last one; nobody may open it meanwhile.
    fn keep_open(&self, user: &User, directory: &Handle, name: &[u8]) -> Done<bool> {
        let Ok((handle, attributes)) = self.look_up(user, directory, name) else { return Ok(false) };
        if attributes.nlink > 1 || !self.nodes.is_open(&handle) {
            return Ok(false);
        }
        let aside = format!(".nfs{:016x}{:08x}", attributes.ino.0, self.nodes.fresh()).into_bytes();
        self.move_name(user, (directory, name), (directory, &aside))?;
        self.nodes.set_aside(&handle, (directory.clone(), aside));
        Ok(true)
    }

    /// Gives a file another name, which the file that has it loses.
    pub fn rename(&self, user: &User, from: (&Handle, &[u8]), to: (&Handle, &[u8])) -> Done<()> {
        let _removing = self.removing();
        let (source, target) = (self.look_up(user, from.0, from.1)?, self.look_up(user, to.0, to.1));
        // Two names of one file: nothing is to be done, and nothing lost.
        if !target.is_ok_and(|target| target.0 == source.0) {
            self.keep_open(user, to.0, to.1)?;
        }
        self.move_name(user, from, to)
    }

    fn move_name(&self, user: &User, from: (&Handle, &[u8]), to: (&Handle, &[u8])) -> Done<()> {
        self.ask_once(user, &Call::rename(from.0, from.1, to.0, to.1), Errno::ENOENT, |_| Ok(())).map(drop)
    }

    /// Removes a name.
    pub fn remove(&self, user: &User, directory: &Handle, name: &[u8]) -> Done<()> {
        let _removing = self.removing();
        if self.keep_open(user, directory, name)? {
            return Ok(());
        }
        self.ask_once(user, &Call::remove(directory, name), Errno::ENOENT, |_| Ok(())).map(drop)
    }

    /// A whole listing.
    pub fn list(&self, user: &User, directory: &Handle) -> Done<Vec<Entry>> {
        let (mut all, mut cookie, mut verifier) = (Vec::new(), 0, 0);
        loop {
            let call = Call::read_directory_plus(directory, cookie, verifier, LISTING_LEN, LISTING_LEN);
            let (new_verifier, entries, end) = self.ask(user, &call, |reader| reader.listing(true))?;
            verifier = new_verifier;
            cookie = entries.last().map_or(cookie, |entry| entry.cookie);
            all.extend(entries);
            if end {
                return Ok(all);
            }
        }
    }

    /// Bytes of a file, fewer only at its end.
    pub fn read(&self, user: &User, file: &Handle, offset: u64, size: u32) -> Done<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < size as usize {
            let call = Call::read(file, offset + all.len() as u64, (size - all.len() as u32).min(TRANSFER_MAX));
            let (data, end) = self.ask(user, &call, decode_read)?;
            all.extend(&data);
            if end || data.is_empty() {
                break;
            }
        }
        Ok(all)
    }
}

/// A kind by NFS's number.
pub fn kind(number: u32) -> FileType {
    KINDS.get((number as usize).wrapping_sub(1)).copied().unwrap_or(FileType::RegularFile)
}

fn time((seconds, nanoseconds): WireTime) -> SystemTime {
    UNIX_EPOCH + Duration::new(seconds.into(), nanoseconds)
}
