//! One file of a host directory: aligned transfers go straight through, others through a bounce buffer.
//!
//! Invariant: a write that covers only part of a sector never undoes a neighbour's, as long as both
//! go through the same handle: it has the file alone while it reads, changes and writes its edges.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use crate::error::{Error, ErrorKind, Result};
use crate::media::MediaFile;
use crate::media::buffer::{ALIGNMENT, BufferPool, is_aligned};
use crate::media::directory::media_error;
use crate::sync::RwLock;

const SECTOR: u64 = ALIGNMENT as u64;

/// Most bytes that one bounce buffer carries.
const PIECE_LEN_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct DirectoryFile {
    file: File,
    name: String,
    direct: bool,
    buffers: Arc<BufferPool>,
    edges: RwLock<()>,
}

/// An aligned stretch of the file, and which part of it the caller asked for.
struct Piece {
    aligned: Range<u64>,
    asked: Range<u64>,
}

impl Piece {
    fn len(&self) -> usize {
        (self.aligned.end - self.aligned.start) as usize
    }

    /// The asked bytes' place in the bounce buffer.
    fn in_bounce(&self) -> Range<usize> {
        (self.asked.start - self.aligned.start) as usize..(self.asked.end - self.aligned.start) as usize
    }

    /// The asked bytes' place in the caller's buffer, which starts at `offset`.
    fn in_caller(&self, offset: u64) -> Range<usize> {
        (self.asked.start - offset) as usize..(self.asked.end - offset) as usize
    }
}

fn pieces(asked: Range<u64>) -> impl Iterator<Item = Piece> {
    let end = asked.end.next_multiple_of(SECTOR);
    let mut at = asked.start / SECTOR * SECTOR;
    std::iter::from_fn(move || {
        let start = at;
        at = end.min(start + PIECE_LEN_MAX);
        let part = start.max(asked.start)..at.min(asked.end);
        (start < at).then_some(Piece { aligned: start..at, asked: part })
    })
}

impl DirectoryFile {
    pub(crate) fn new(file: File, name: String, direct: bool, buffers: Arc<BufferPool>) -> Self {
        Self { file, name, direct, buffers, edges: RwLock::new(()) }
    }

    pub(crate) fn preallocate(&self, length: u64) -> rustix::io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length)
    }

    fn failed(&self, act: &str, cause: impl Into<io::Error>) -> Error {
        media_error(cause, format!("cannot {act} the file {}", self.name))
    }

    /// The range of `len` bytes at `offset`, if a file can have it.
    fn range(&self, offset: u64, len: usize) -> Result<Range<u64>> {
        match offset.checked_add(len as u64) {
            Some(end) if end < i64::MAX as u64 - SECTOR => Ok(offset..end),
            _ => Err(Error::new(ErrorKind::Io, format!("offset {offset} of {} is beyond any file's end", self.name))),
        }
    }

    /// Reads at least `needed` bytes of `buffer`, or says that the file ends before.
    fn fill(&self, buffer: &mut [u8], offset: u64, needed: usize) -> io::Result<()> {
        let done = self.fill_to_end(buffer, offset, needed)?;
        if done < needed { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Reads until `needed` bytes of `buffer` are there or the file ends; returns how many are.
    fn fill_to_end(&self, buffer: &mut [u8], offset: u64, needed: usize) -> io::Result<usize> {
        let mut done = 0;
        while done < needed {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // Direct reads are short only at the file's end, and cannot go on from inside a sector.
            if self.direct && !done.is_multiple_of(ALIGNMENT) {
                break;
            }
        }
        Ok(done)
    }

    /// Puts one stored sector into `sector`; what is past the file's end is zeros.
    fn load_edge(&self, sector: &mut [u8], offset: u64) -> io::Result<()> {
        let done = self.fill_to_end(sector, offset, sector.len())?;
        sector[done..].fill(0);
        Ok(())
    }

    fn write_bounced(&self, bytes: &[u8], asked: Range<u64>) -> io::Result<()> {
        let offset = asked.start;
        let length = self.file.metadata()?.len();
        for piece in pieces(asked.clone()) {
            let mut bounce = self.buffers.take(piece.len());
            if piece.asked.start > piece.aligned.start {
                self.load_edge(&mut bounce[..ALIGNMENT], piece.aligned.start)?;
            }
            if piece.asked.end < piece.aligned.end {
                let last = piece.len() - ALIGNMENT;
                self.load_edge(&mut bounce[last..], piece.aligned.end - SECTOR)?;
            }
            bounce[piece.in_bounce()].copy_from_slice(&bytes[piece.in_caller(offset)]);
            self.file.write_all_at(&bounce, piece.aligned.start)?;
        }
        let wanted = length.max(asked.end);
        if asked.end.next_multiple_of(SECTOR) > wanted {
            self.file.set_len(wanted)?;
        }
        Ok(())
    }
}

impl MediaFile for DirectoryFile {
    fn length(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|error| self.failed("look at", error))?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let asked = self.range(offset, buffer.len())?;
        let failed = |error| self.failed(&format!("read bytes {} to {} of", asked.start, asked.end), error);
        if !self.direct || is_aligned(buffer, offset) {
            return self.fill(buffer, offset, buffer.len()).map_err(failed);
        }
        for piece in pieces(asked.clone()) {
            let mut bounce = self.buffers.take(piece.len());
            let place = piece.in_bounce();
            self.fill(&mut bounce, piece.aligned.start, place.end).map_err(failed)?;
            buffer[piece.in_caller(offset)].copy_from_slice(&bounce[place]);
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let asked = self.range(offset, bytes.len())?;
        let written = if bytes.is_empty() {
            Ok(())
        } else if !self.direct {
            self.file.write_all_at(bytes, offset)
        } else if is_aligned(bytes, offset) {
            let _shared = self.edges.read();
            self.file.write_all_at(bytes, offset)
        } else if asked.start.is_multiple_of(SECTOR) && asked.end.is_multiple_of(SECTOR) {
            let _shared = self.edges.read();
            self.write_bounced(bytes, asked.clone())
        } else {
            let _alone = self.edges.write();
            self.write_bounced(bytes, asked.clone())
        };
        written.map_err(|error| self.failed(&format!("write bytes {} to {} of", asked.start, asked.end), error))
    }

    fn flush(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.failed("flush", error))
    }

    fn punch(&self, offset: u64, length: u64) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.file, flags, offset, length)
            .map_err(|errno| self.failed(&format!("give back {length} bytes at {offset} of"), errno))
    }

    fn truncate(&self, length: u64) -> Result<()> {
        let _alone = self.edges.write();
        self.file.set_len(length).map_err(|error| self.failed(&format!("set to {length} bytes"), error))
    }
}
