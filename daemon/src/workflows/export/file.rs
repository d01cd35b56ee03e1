//! Fills the files of the host, several at once and several parts of a large one.
//!
//! Invariant: a file is dressed by whoever ends its last part, so a time that was set is not changed by a write
//! afterwards.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::fs::{Attributes, Context, FileKind, FileSystem, SeekTarget};
use rustix::fs::ftruncate;
use rustix::io::{Errno, pwrite};

use crate::workflows::export::dress::Dresser;
use crate::workflows::host::host_error;
use crate::workflows::queue::Queue;
use crate::workflows::run::Run;

/// Bytes of one read, which begins at a multiple of it or where data begins.
pub const PIECE_LEN: usize = 1 << 20;
/// Bytes of a file that one worker copies before it takes another job.
const SPAN_LEN: u64 = 32 << 20;

/// Something for a worker to do.
pub enum Job {
    /// Fill a file from its start.
    File(MadeFile),
    /// Go on with a file at an offset.
    Span(Arc<OpenFile>, u64),
}

/// A file that was made, and is empty.
pub struct MadeFile {
    pub file: OwnedFd,
    pub path: Vec<u8>,
    pub attributes: Attributes,
}

/// A file that is being filled.
pub struct OpenFile {
    made: MadeFile,
    /// Parts that are queued or being copied.
    pending: AtomicUsize,
    failed: AtomicBool,
}

/// What the workers share.
pub struct Copier<'c> {
    pub source: &'c dyn FileSystem,
    pub context: &'c Context,
    pub run: &'c Run,
    pub queue: &'c Queue<Job>,
    pub dresser: &'c Dresser<'c>,
}

impl Copier<'_> {
    /// Does a job. `buffer` is as long as a piece.
    pub(super) fn work(&self, job: Job, buffer: &mut [u8]) {
        if !self.run.goes_on() {
            return;
        }
        match job {
            Job::File(made) => match ftruncate(&made.file, made.attributes.size) {
                Ok(()) => {
                    let (pending, failed) = (AtomicUsize::new(1), AtomicBool::new(false));
                    self.work_span(&Arc::new(OpenFile { made, pending, failed }), 0, buffer);
                }
                Err(errno) => self.run.fail(&made.path, host_error(errno, "cannot set its size")),
            },
            Job::Span(open, offset) => self.work_span(&open, offset, buffer),
        }
    }

    fn work_span(&self, open: &Arc<OpenFile>, offset: u64, buffer: &mut [u8]) {
        let copied = if open.failed.load(Ordering::Relaxed) { Ok(()) } else { self.copy_span(open, offset, buffer) };
        if let Err(error) = copied
            && !open.failed.swap(true, Ordering::Relaxed)
        {
            self.run.fail(&open.made.path, error);
        }
        let was_last = open.pending.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && !open.failed.load(Ordering::Relaxed) && self.run.goes_on() {
            match self.dresser.dress_open(&open.made.file, &open.made.attributes) {
                Ok(()) => self.run.copied(FileKind::Regular),
                Err(error) => self.run.fail(&open.made.path, error),
            }
        }
    }

    /// Copies what data there is from `offset` on, up to the end of a span, and queues the rest of the file.
    fn copy_span(&self, open: &Arc<OpenFile>, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let size = open.made.attributes.size;
        let begin = self.next(open, offset, SeekTarget::Data)?;
        let end = size.min((begin / SPAN_LEN + 1) * SPAN_LEN);
        if end < size {
            open.pending.fetch_add(1, Ordering::Relaxed);
            self.queue.push_next(Job::Span(Arc::clone(open), end));
        }
        let mut at = begin;
        while at < end {
            let hole = self.next(open, at, SeekTarget::Hole)?.min(end);
            self.copy_data(open, at, hole, buffer)?;
            if !self.run.goes_on() {
                return Ok(());
            }
            at = self.next(open, hole, SeekTarget::Data)?;
        }
        Ok(())
    }

    fn next(&self, open: &OpenFile, offset: u64, target: SeekTarget) -> Result<u64> {
        let size = open.made.attributes.size;
        if offset >= size {
            return Ok(size);
        }
        Ok(self.source.seek(open.made.attributes.inode, offset, target)?.unwrap_or(size).min(size))
    }

    fn copy_data(&self, open: &OpenFile, begin: u64, end: u64, buffer: &mut [u8]) -> Result<()> {
        let mut at = begin;
        while at < end && self.run.goes_on() {
            let in_piece = PIECE_LEN as u64 - at % PIECE_LEN as u64;
            let piece = &mut buffer[..in_piece.min(end - at) as usize];
            let length = self.source.read(self.context, open.made.attributes.inode, at, piece)?.length;
            if length == 0 {
                // Only a head can change, and then an export of it is of no single moment.
                return Err(Error::new(ErrorKind::Conflict, "it became shorter while it was read; export a snapshot"));
            }
            write_all(&open.made.file, &piece[..length], at)?;
            self.run.copied_bytes(length);
            at += length as u64;
        }
        Ok(())
    }
}

fn write_all(file: &OwnedFd, bytes: &[u8], offset: u64) -> Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match pwrite(file, &bytes[written..], offset + written as u64) {
            Ok(length) => written += length,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(host_error(errno, format!("cannot write it at byte {offset}"))),
        }
    }
    Ok(())
}
