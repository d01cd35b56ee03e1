//! Fills the files of the target, several at once and several parts of a large one.
//!
//! Invariant: a file's attributes are set by whoever ends its last part, so a time that was set is not changed by a
//! write afterwards.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use cow_storage::error::Result;
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Context, FileKind, FileSystem, SeekTarget, Stability};
use parking_lot::Mutex;
use rustix::fs::{Advice, SeekFrom, fadvise, seek};
use rustix::io::Errno;

use crate::workflows::Paths;
use crate::workflows::host::{HostFolder, HostObject, Xattrs, describe_open, host_error, is_unheeded, xattrs_open};
use crate::workflows::import::settle::settle;
use crate::workflows::queue::Queue;
use crate::workflows::run::Run;

/// Bytes of one write, which begins at a multiple of it or where data begins.
const PIECE_LEN: usize = 1 << 20;
/// Bytes of a file that one worker copies before it takes another job.
const SPAN_LEN: u64 = 32 << 20;

/// Something for a worker to do.
pub enum Job {
    /// Fill a file from its start.
    File(Found),
    /// Go on with a file at an offset.
    Span(Arc<OpenFile>, u64),
}

/// A file of the source, and the one of the target that gets its content.
pub struct Found {
    pub folder: Arc<HostFolder>,
    pub name: Vec<u8>,
    pub path: Vec<u8>,
    pub identity: (u32, u32, u64),
    pub inode: InodeNumber,
    /// Whether the target's file is new, so that there is nothing to take away.
    pub fresh: bool,
}

/// A file that is being copied.
pub struct OpenFile {
    found: Found,
    file: OwnedFd,
    object: HostObject,
    /// Whether the target says that nothing changed since it was copied last. Then that is checked before anything is
    /// written, as a write changes times, and so an inode, even where it changes no content.
    looks_same: bool,
    /// Parts that are queued or being copied.
    pending: AtomicUsize,
    failed: AtomicBool,
}

/// What one worker reads into.
pub struct Buffers {
    source: Vec<u8>,
    target: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { source: vec![0; PIECE_LEN], target: vec![0; PIECE_LEN] }
    }
}

/// What the workers share.
pub struct Copier<'c> {
    pub target: &'c dyn FileSystem,
    pub context: &'c Context,
    pub run: &'c Run,
    pub queue: &'c Queue<Job>,
    pub changed: &'c Mutex<Paths>,
    /// Objects whose access control lists are kept and not heeded.
    pub access_lists: &'c AtomicU64,
}

impl Copier<'_> {
    /// Does a job.
    pub(super) fn work(&self, job: Job, buffers: &mut Buffers) {
        if !self.run.goes_on() {
            return;
        }
        match job {
            Job::File(found) => match self.open(&found) {
                Ok((file, object, looks_same)) => {
                    let (pending, failed) = (AtomicUsize::new(1), AtomicBool::new(false));
                    let open = OpenFile { found, file, object, looks_same, pending, failed };
                    self.work_span(&Arc::new(open), 0, buffers);
                }
                Err(error) => self.run.fail(&found.path, error),
            },
            Job::Span(open, offset) => self.work_span(&open, offset, buffers),
        }
    }

    /// Notes that something changed under us.
    pub(super) fn note_changed(&self, path: &[u8]) {
        self.changed.lock().add(path);
    }

    /// Gives `inode` the attributes of `object`.
    pub(super) fn settle(&self, inode: InodeNumber, object: &HostObject, xattrs: &Xattrs, fresh: bool) -> Result<()> {
        let has_list = xattrs.keys().any(|name| is_unheeded(name));
        self.access_lists.fetch_add(u64::from(has_list), Ordering::Relaxed);
        settle(self.target, self.context, inode, object, xattrs, fresh)
    }

    fn open(&self, found: &Found) -> Result<(OwnedFd, HostObject, bool)> {
        let file = found.folder.open_file(&found.name)?;
        let object = describe_open(&file)?;
        if object.kind != FileKind::Regular {
            return Err(host_error(Errno::INVAL, "it was a regular file, and is none any more"));
        }
        if object.identity != found.identity {
            self.note_changed(&found.path);
        }
        // Only a hint: a host that takes none is as good.
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        let looks_same = !found.fresh && {
            let present = self.target.attributes(found.inode)?;
            (present.size, present.modified) == (object.size, object.modified)
        };
        Ok((file, object, looks_same))
    }

    fn work_span(&self, open: &Arc<OpenFile>, offset: u64, buffers: &mut Buffers) {
        let copied = if open.failed.load(Ordering::Relaxed) { Ok(()) } else { self.copy_span(open, offset, buffers) };
        if let Err(error) = copied
            && !open.failed.swap(true, Ordering::Relaxed)
        {
            self.run.fail(&open.found.path, error);
        }
        let was_last = open.pending.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && !open.failed.load(Ordering::Relaxed) && self.run.goes_on() {
            match self.end(open) {
                Ok(()) => self.run.copied(FileKind::Regular),
                Err(error) => self.run.fail(&open.found.path, error),
            }
        }
    }

    /// Copies what data there is from `offset` on, up to the end of a span, and queues the rest of the file.
    fn copy_span(&self, open: &Arc<OpenFile>, offset: u64, buffers: &mut Buffers) -> Result<()> {
        let size = open.object.size;
        let begin = open.next_data(offset)?;
        self.make_hole(open, offset, begin, buffers)?;
        let end = size.min((begin / SPAN_LEN + 1) * SPAN_LEN);
        if end < size {
            open.pending.fetch_add(1, Ordering::Relaxed);
            self.queue.push_next(Job::Span(Arc::clone(open), end));
        }
        let mut at = begin;
        while at < end {
            let hole = open.next_hole(at)?.min(end);
            if !self.copy_data(open, at, hole, buffers)? {
                return Ok(());
            }
            at = open.next_data(hole)?.min(end);
            self.make_hole(open, hole, at, buffers)?;
        }
        Ok(())
    }

    /// Copies a range that is all data. Returns whether there is a reason to go on.
    fn copy_data(&self, open: &OpenFile, begin: u64, end: u64, buffers: &mut Buffers) -> Result<bool> {
        let mut at = begin;
        while at < end {
            if !self.run.goes_on() {
                return Ok(false);
            }
            let in_piece = PIECE_LEN as u64 - at % PIECE_LEN as u64;
            let piece = &mut buffers.source[..in_piece.min(end - at) as usize];
            let length = read_full(&open.file, piece, at)?;
            if length == 0 {
                // It became shorter: told of when it is described again at its end.
                return Ok(false);
            }
            let (piece, present) = (&piece[..length], &mut buffers.target[..length]);
            if !(open.looks_same && self.holds(open.found.inode, at, piece, present)?) {
                self.target.write(self.context, open.found.inode, at, piece, Stability::Unstable)?;
            }
            self.run.copied_bytes(length);
            at += length as u64;
        }
        Ok(true)
    }

    /// Whether the target has these bytes there already.
    fn holds(&self, inode: InodeNumber, offset: u64, bytes: &[u8], buffer: &mut [u8]) -> Result<bool> {
        let read = self.target.read(self.context, inode, offset, buffer)?;
        Ok(read.length == bytes.len() && buffer == bytes)
    }

    /// Takes away what the target has in a range where the source has nothing.
    fn make_hole(&self, open: &OpenFile, begin: u64, end: u64, buffers: &mut Buffers) -> Result<()> {
        if !open.found.fresh && begin < end && !(open.looks_same && self.is_empty(open, begin, end, buffers)?) {
            self.target.punch(self.context, open.found.inode, begin, end - begin)?;
        }
        Ok(())
    }

    /// Whether the target has only zeros there. At the edges of a hole it may store them, as its blocks are larger.
    fn is_empty(&self, open: &OpenFile, begin: u64, end: u64, buffers: &mut Buffers) -> Result<bool> {
        let inode = open.found.inode;
        let mut at = begin;
        while let Some(data) = self.target.seek(inode, at, SeekTarget::Data)?.filter(|data| *data < end) {
            let hole = self.target.seek(inode, data, SeekTarget::Hole)?.unwrap_or(end).min(end);
            let buffer = &mut buffers.target[..PIECE_LEN.min((hole - data) as usize)];
            let length = self.target.read(self.context, inode, data, buffer)?.length;
            if length == 0 || buffer[..length].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at = data + length as u64;
        }
        Ok(true)
    }

    fn end(&self, open: &OpenFile) -> Result<()> {
        let found = &open.found;
        if !describe_open(&open.file)?.is_unchanged_since(&open.object) {
            self.note_changed(&found.path);
        }
        self.settle(found.inode, &open.object, &xattrs_open(&open.file)?, found.fresh)
    }
}

impl OpenFile {
    fn next_data(&self, offset: u64) -> Result<u64> {
        self.next(SeekFrom::Data(offset), offset, self.object.size)
    }

    fn next_hole(&self, offset: u64) -> Result<u64> {
        self.next(SeekFrom::Hole(offset), self.object.size, self.object.size)
    }

    /// Asks the host where data or a hole begins; `otherwise` where it does not know holes.
    fn next(&self, to: SeekFrom, otherwise: u64, end: u64) -> Result<u64> {
        if self.object.data == self.object.size {
            return Ok(otherwise);
        }
        match seek(&self.file, to) {
            Ok(found) => Ok(found.min(end)),
            Err(Errno::NXIO) => Ok(end),
            Err(Errno::INVAL | Errno::NOTSUP) => Ok(otherwise),
            Err(errno) => Err(host_error(errno, "cannot tell where it has data")),
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match rustix::io::pread(file, &mut buffer[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(host_error(errno, format!("cannot read it at byte {offset}"))),
        }
    }
    Ok(length)
}
