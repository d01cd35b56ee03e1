//! The files behind the segments: names, numbers, handles, and the reserve.
//!
//! Invariant: a file is preallocated and its name durable before the first byte is appended, so a
//! host that is full says so here and never in a flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::SegmentId;
use crate::media::{Media, MediaFile};
use crate::segment::{SegmentOptions, Stream};
use crate::sync::{Mutex, OnceLock};

/// File handles kept open for reading.
const HANDLES_MAX: usize = 256;

/// A segment and its file.
#[derive(Clone)]
pub struct SegmentFile {
    pub segment: SegmentId,
    pub file: Arc<dyn MediaFile>,
}

/// All files of the segments.
pub struct Files {
    media: Arc<dyn Media>,
    options: SegmentOptions,
    /// Why nothing is written any more.
    poisoned: OnceLock<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    present: BTreeMap<SegmentId, Stream>,
    reserve: Vec<String>,
    reserve_next: u64,
    handles: BTreeMap<SegmentId, (u64, Arc<dyn MediaFile>)>,
    tick: u64,
}

impl Files {
    /// Finds what is there; new segments are numbered from `next` or from beyond all that exist.
    pub fn open(media: Arc<dyn Media>, options: SegmentOptions, next: SegmentId) -> Result<Self> {
        let mut inner = Inner { next: next.0, ..Inner::default() };
        let names = media.list().map_err(|error| error.during("list the segments"))?;
        for name in names {
            if let Some((stream, segment)) = parse_name(&name) {
                inner.present.insert(segment, stream);
                inner.next = inner.next.max(segment.0 + 1);
            } else if let Some(number) = parse_hex(&name, "reserve-") {
                inner.reserve_next = inner.reserve_next.max(number + 1);
                inner.reserve.push(name);
            }
        }
        inner.reserve.sort();
        Ok(Self { media, options, poisoned: OnceLock::new(), inner: Mutex::new(inner) })
    }

    pub fn options(&self) -> &SegmentOptions {
        &self.options
    }

    pub fn next(&self) -> SegmentId {
        SegmentId(self.inner.lock().next)
    }

    /// Remembers that a write or flush failed.
    pub fn poison(&self, cause: Error, act: &'static str) -> Error {
        let _ = self.poisoned.set(format!("{act}: {cause:?}"));
        Error::because(ErrorKind::Poisoned, act, cause)
    }

    pub fn check(&self) -> Result<()> {
        match self.poisoned.get() {
            Some(first) => {
                Err(Error::because(ErrorKind::Poisoned, "write after a failed write; reopen the pool", first.as_str()))
            }
            None => Ok(()),
        }
    }

    /// Makes the next segment. When the host is full a privileged caller gets one of the reserve.
    pub fn create(&self, stream: Stream, privileged: bool) -> Result<SegmentFile> {
        let segment = self.number()?;
        let name = name_of(stream, segment);
        let file = match self.media.create(&name, u64::from(self.options.segment_len)) {
            Err(error) if error.kind() == ErrorKind::NoSpace && privileged => self.take_reserve(&name, error)?,
            other => other.map_err(|error| error.during("preallocate a segment"))?,
        };
        self.sync()?;
        let mut inner = self.inner.lock();
        inner.present.insert(segment, stream);
        inner.keep_handle(segment, &file);
        Ok(SegmentFile { segment, file })
    }

    fn number(&self) -> Result<SegmentId> {
        let mut inner = self.inner.lock();
        if inner.next >= SegmentId::LIMIT {
            return Err(Error::new(ErrorKind::NoSpace, "the pool has used up its segment numbers"));
        }
        inner.next += 1;
        Ok(SegmentId(inner.next - 1))
    }

    fn take_reserve(&self, name: &str, full: Error) -> Result<Arc<dyn MediaFile>> {
        let Some(reserved) = self.inner.lock().reserve.pop() else {
            return Err(full.during("use up the last of the reserve"));
        };
        self.media.rename(&reserved, name).map_err(|error| error.during("take a segment from the reserve"))?;
        self.media.open(name).map_err(|error| error.during("take a segment from the reserve"))
    }

    /// Fills the reserve up; returns whether it is full now.
    pub fn fill_reserve(&self) -> Result<bool> {
        loop {
            let name = {
                let mut inner = self.inner.lock();
                if inner.reserve.len() >= self.options.reserve_count as usize {
                    return Ok(true);
                }
                inner.reserve_next += 1;
                format!("reserve-{:010x}", inner.reserve_next - 1)
            };
            match self.media.create(&name, u64::from(self.options.segment_len)) {
                Err(error) if error.kind() == ErrorKind::NoSpace => return Ok(false),
                other => other.map_err(|error| error.during("preallocate the reserve"))?,
            };
            self.sync()?;
            self.inner.lock().reserve.push(name);
        }
    }

    /// Makes new and removed names durable.
    pub fn sync(&self) -> Result<()> {
        self.media.sync_directory().map_err(|error| self.poison(error, "make the names of segments durable"))
    }

    /// What the segment holds, if its file exists.
    pub fn stream_of(&self, segment: SegmentId) -> Option<Stream> {
        self.inner.lock().present.get(&segment).copied()
    }

    /// The segments whose files exist.
    pub fn present(&self) -> BTreeMap<SegmentId, Stream> {
        self.inner.lock().present.clone()
    }

    /// How many files there are, the reserve included.
    pub fn count(&self) -> u64 {
        let inner = self.inner.lock();
        (inner.present.len() + inner.reserve.len()) as u64
    }

    /// A handle for reading.
    pub fn handle(&self, segment: SegmentId) -> Result<Arc<dyn MediaFile>> {
        let stream = {
            let mut inner = self.inner.lock();
            inner.tick += 1;
            let tick = inner.tick;
            if let Some((used, file)) = inner.handles.get_mut(&segment) {
                *used = tick;
                return Ok(Arc::clone(file));
            }
            *inner.present.get(&segment).ok_or_else(|| missing(segment))?
        };
        let file = self.media.open(&name_of(stream, segment)).map_err(|error| error.during("open a segment"))?;
        self.inner.lock().keep_handle(segment, &file);
        Ok(file)
    }

    /// Unlinks the segment's file. Reads that hold a handle go on.
    pub fn remove(&self, segment: SegmentId) -> Result<()> {
        let stream = {
            let mut inner = self.inner.lock();
            inner.handles.remove(&segment);
            inner.present.remove(&segment)
        };
        let Some(stream) = stream else { return Ok(()) };
        self.media.unlink(&name_of(stream, segment)).map_err(|error| error.during("remove a segment"))
    }
}

impl Inner {
    fn keep_handle(&mut self, segment: SegmentId, file: &Arc<dyn MediaFile>) {
        if self.handles.len() >= HANDLES_MAX {
            let oldest = self.handles.iter().min_by_key(|(_, (used, _))| *used).map(|(segment, _)| *segment);
            oldest.map(|oldest| self.handles.remove(&oldest));
        }
        self.tick += 1;
        self.handles.insert(segment, (self.tick, Arc::clone(file)));
    }
}

fn missing(segment: SegmentId) -> Error {
    Error::new(ErrorKind::NotFound, format!("segment {:010x} has no file", segment.0))
}

/// The name of a segment's file.
pub fn name_of(stream: Stream, segment: SegmentId) -> String {
    match stream {
        Stream::Data => format!("data-{:010x}", segment.0),
        Stream::Node => format!("node-{:010x}", segment.0),
    }
}

/// Whether a file of the pool has such a name because it is a segment, or one kept in reserve.
pub fn is_segment_name(name: &str) -> bool {
    parse_name(name).is_some() || parse_hex(name, "reserve-").is_some()
}

/// What a file holds, if it has the name of a segment.
pub fn parse_name(name: &str) -> Option<(Stream, SegmentId)> {
    let (stream, number) = match parse_hex(name, "data-") {
        Some(number) => (Stream::Data, number),
        None => (Stream::Node, parse_hex(name, "node-")?),
    };
    (number < SegmentId::LIMIT).then_some((stream, SegmentId(number)))
}

fn parse_hex(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 10 || !lower { None } else { u64::from_str_radix(digits, 16).ok() }
}
