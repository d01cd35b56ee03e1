//! One stream: the segment being appended to, and what waits in memory to be written to it.
//!
//! Invariant: of a segment, what is in memory is a suffix of what was appended, so a read takes the
//! front from the file and the rest from here. Chunks leave memory only when they were written, and
//! their files are flushed before [`StreamWriter::flush`] returns.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Errands, Executor};
use crate::format::{SegmentId, SlotId};
use crate::media::{Buffer, BufferPool, MediaFile};
use crate::segment::files::{Files, SegmentFile};
use crate::segment::{BLOCK_LEN, OpenSegment, Place, SLOTS_MAX, Stream};
use crate::sync::{Mutex, MutexGuard, OnceLock};

/// Bytes collected before they are written.
const CHUNK_LEN: usize = 1 << 20;
/// Bytes of a buffer: a chunk and whatever one append adds beyond it.
const BUFFER_LEN: usize = 2 << 20;
/// Chunks that may wait while others write them.
const WAITING_MAX: usize = 8;
/// Most bytes of one append.
pub const APPEND_LEN_MAX: u32 = (BUFFER_LEN - CHUNK_LEN) as u32 - BLOCK_LEN;
/// A finished segment gives its unused end back if it is at least this long.
const TRIM_LEN: u32 = 1 << 20;

/// A segment that will not be appended to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub segment: SegmentId,
    /// Bytes appended: a multiple of 4 KiB.
    pub length: u32,
}

/// Appends to segments of one kind.
pub struct StreamWriter {
    pub stream: Stream,
    pub files: Arc<Files>,
    pub buffers: Arc<BufferPool>,
    inner: Mutex<Inner>,
    /// Held while a chunk is written, so that they are written in order and a flush waits for all.
    writing: Mutex<()>,
    /// Who may write chunks while more are appended.
    helpers: OnceLock<Arc<dyn Executor>>,
    errands: Errands,
    /// Held while files are flushed, so that who flushes waits for another who has begun.
    flushing: Mutex<()>,
}

#[derive(Default)]
pub struct Inner {
    open: Option<Open>,
    chunks: VecDeque<Arc<Chunk>>,
    spares: VecDeque<SegmentFile>,
    touched: BTreeMap<SegmentId, Arc<dyn MediaFile>>,
    trims: Vec<(Arc<dyn MediaFile>, u32)>,
    finished: Vec<Finished>,
    appended_len: u64,
}

struct Open {
    file: SegmentFile,
    /// Where `tail` begins: a multiple of 4 KiB.
    start: u32,
    tail: Tail,
    /// Ids given out.
    numbered: u32,
}

/// Bytes at the front of an aligned buffer.
struct Tail {
    buffer: Buffer,
    length: usize,
}

struct Chunk {
    file: SegmentFile,
    start: u32,
    bytes: Tail,
}

impl Tail {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Adds zeros up to `length`, then the next `more` bytes, which the caller sets.
    fn grow(&mut self, length: usize, more: usize) -> &mut [u8] {
        self.buffer[self.length..length].fill(0);
        self.length = length + more;
        &mut self.buffer[length..length + more]
    }
}

impl Open {
    fn new(file: SegmentFile, buffers: &Arc<BufferPool>) -> Self {
        Self { file, start: 0, tail: Tail { buffer: buffers.take(BUFFER_LEN), length: 0 }, numbered: 0 }
    }

    fn offset(&self) -> u32 {
        self.start + self.tail.length as u32
    }
}

impl StreamWriter {
    pub fn new(stream: Stream, files: Arc<Files>) -> Self {
        Self {
            stream,
            files,
            buffers: BufferPool::new((WAITING_MAX + 2) * BUFFER_LEN),
            inner: Mutex::default(),
            writing: Mutex::default(),
            helpers: OnceLock::new(),
            errands: Errands::default(),
            flushing: Mutex::default(),
        }
    }

    /// Lets `executor` write what is appended from now on, while more is.
    pub fn write_behind(&self, executor: Arc<dyn Executor>) {
        let _ = self.helpers.set(executor);
    }

    /// Lets nobody write behind any more, and waits for who does.
    pub fn end_errands(&self) {
        self.errands.close();
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Appends what `fill` writes.
    pub fn append(
        self: &Arc<Self>,
        privileged: bool,
        length: u32,
        fill: impl FnOnce(Place, &mut [u8]),
    ) -> Result<Place> {
        let mut inner = self.inner.lock();
        self.make_room(&mut inner, privileged, length, false)?;
        let place = inner.fill(self.stream, length, fill);
        let full = inner.seal_when_full(&self.buffers);
        let waiting = inner.chunks.len();
        drop(inner);
        if full {
            self.hand_over(waiting)?;
        }
        Ok(place)
    }

    /// The same with an id: the next one of the segment that the bytes land in.
    pub fn append_numbered(
        self: &Arc<Self>,
        privileged: bool,
        length: u32,
        fill: impl FnOnce(SlotId, Place, &mut [u8]),
    ) -> Result<(SlotId, Place)> {
        let mut inner = self.inner.lock();
        self.make_room(&mut inner, privileged, length, true)?;
        let id = inner.next_id();
        let place = inner.fill(self.stream, length, |place, out| fill(id, place, out));
        let full = inner.seal_when_full(&self.buffers);
        let waiting = inner.chunks.len();
        drop(inner);
        if full {
            self.hand_over(waiting)?;
        }
        Ok((id, place))
    }

    /// Makes sure that `length` bytes fit into the open segment, or begins another.
    pub fn make_room(&self, inner: &mut Inner, privileged: bool, length: u32, numbered: bool) -> Result<()> {
        self.files.check()?;
        let segment_len = self.files.options().segment_len;
        if length > segment_len.min(APPEND_LEN_MAX) {
            return Err(Error::new(ErrorKind::Invalid, format!("append {length} bytes to a segment of {segment_len}")));
        }
        let fits = inner.open.as_ref().is_some_and(|open| {
            place_after(self.stream, open.offset(), length) + length <= segment_len
                && !(numbered && open.numbered >= SLOTS_MAX)
        });
        if fits {
            return Ok(());
        }
        self.have_spares(inner, privileged, 1)?;
        inner.begin_next(segment_len, &self.buffers);
        Ok(())
    }

    /// Makes segments ahead until there are `count` that were not begun.
    pub fn have_spares(&self, inner: &mut Inner, privileged: bool, count: usize) -> Result<()> {
        while inner.spares.len() < count {
            inner.spares.push_back(self.files.create(self.stream, privileged)?);
        }
        Ok(())
    }

    /// Has the chunk that was just cut written, and waits if too many are waiting.
    fn hand_over(self: &Arc<Self>, waiting: usize) -> Result<()> {
        let Some(helpers) = self.helpers.get() else { return self.write_out(0) };
        if waiting == 1 {
            // Whoever writes the first goes on with those that come meanwhile. Its error poisons the files.
            let writer = Arc::downgrade(self);
            self.errands.offer(&**helpers, move || {
                let _ = writer.upgrade().map(|writer| writer.write_out(0));
            });
        }
        self.write_out(WAITING_MAX)?;
        self.files.check()
    }

    /// Writes chunks, the oldest first, until at most `left` are waiting.
    pub fn write_out(&self, left: usize) -> Result<()> {
        loop {
            let _writing = self.writing.lock();
            let front = {
                let inner = self.inner.lock();
                inner.chunks.front().filter(|_| inner.chunks.len() > left).cloned()
            };
            let Some(chunk) = front else { return Ok(()) };
            self.files.check()?;
            let written = chunk.file.file.write_at(chunk.bytes.bytes(), u64::from(chunk.start));
            written.map_err(|error| self.files.poison(error, "append to a segment"))?;
            let mut inner = self.inner.lock();
            inner.touched.insert(chunk.file.segment, Arc::clone(&chunk.file.file));
            inner.chunks.pop_front();
        }
    }

    /// Makes everything that was appended durable.
    pub fn flush(&self) -> Result<()> {
        let _flushing = self.flushing.lock();
        self.files.check()?;
        self.inner.lock().seal(&self.buffers);
        self.write_out(0)?;
        let (touched, trims) = {
            let mut inner = self.inner.lock();
            (mem::take(&mut inner.touched), mem::take(&mut inner.trims))
        };
        for (file, length) in trims {
            file.truncate(u64::from(length)).map_err(|error| self.files.poison(error, "trim a finished segment"))?;
        }
        for file in touched.values() {
            file.flush().map_err(|error| self.files.poison(error, "flush a segment"))?;
        }
        Ok(())
    }

    /// Fills the part of `out` that is in memory; returns how many bytes at its front are not.
    pub fn read_buffered(&self, place: Place, out: &mut [u8]) -> usize {
        let inner = self.inner.lock();
        let chunks = inner.chunks.iter().map(|chunk| (chunk.file.segment, chunk.start, chunk.bytes.bytes()));
        let tail = inner.open.iter().map(|open| (open.file.segment, open.start, open.tail.bytes()));
        let mut missing = out.len();
        for (_, start, bytes) in chunks.chain(tail).filter(|piece| piece.0 == place.segment) {
            let from = start.max(place.offset);
            let until = (start + bytes.len() as u32).min(place.end());
            if from < until {
                let at = (from - place.offset) as usize;
                let piece = &bytes[(from - start) as usize..(until - start) as usize];
                out[at..at + piece.len()].copy_from_slice(piece);
                missing = missing.min(at);
            }
        }
        missing
    }
}

impl Inner {
    /// The segment being appended to, as a commit must remember it.
    pub fn open_segment(&self, stream: Stream) -> Option<OpenSegment> {
        let open = self.open.as_ref()?;
        let length = open.offset().next_multiple_of(BLOCK_LEN);
        Some(OpenSegment { segment: open.file.segment, stream, length })
    }

    /// Where the next byte goes, and the segments that will follow.
    pub fn position(&self) -> Option<(SegmentId, u32)> {
        self.open.as_ref().map(|open| (open.file.segment, open.offset()))
    }

    /// The spare that is begun after `after` others.
    pub fn upcoming(&self, after: usize) -> SegmentId {
        self.spares[after].segment
    }

    pub fn take_finished(&mut self) -> Vec<Finished> {
        mem::take(&mut self.finished)
    }

    /// Bytes ever appended, with padding.
    pub fn appended_len(&self) -> u64 {
        self.appended_len
    }

    fn next_id(&mut self) -> SlotId {
        let open = self.open.as_mut().expect("room was made");
        open.numbered += 1;
        SlotId::new(open.file.segment, open.numbered - 1)
    }

    /// Puts `length` bytes at the end; room was made.
    pub fn fill(&mut self, stream: Stream, length: u32, fill: impl FnOnce(Place, &mut [u8])) -> Place {
        let open = self.open.as_mut().expect("room was made");
        let before = open.offset();
        let offset = place_after(stream, before, length);
        let place = Place { segment: open.file.segment, offset, length };
        let at = (offset - open.start) as usize;
        fill(place, open.tail.grow(at, length as usize));
        self.appended_len += u64::from(place.end() - before);
        place
    }

    /// Finishes the open segment and begins the first spare.
    pub fn begin_next(&mut self, segment_len: u32, buffers: &Arc<BufferPool>) {
        self.seal(buffers);
        let next = self.spares.pop_front().expect("a spare was made");
        let Some(done) = self.open.replace(Open::new(next, buffers)) else { return };
        self.finished.push(Finished { segment: done.file.segment, length: done.start });
        if segment_len - done.start >= TRIM_LEN {
            self.trims.push((Arc::clone(&done.file.file), done.start));
            self.touched.insert(done.file.segment, done.file.file);
        }
    }

    /// Hands the whole blocks of a long tail over for writing; returns whether there was one.
    pub fn seal_when_full(&mut self, buffers: &Arc<BufferPool>) -> bool {
        let full = self.open.as_ref().is_some_and(|open| open.tail.length >= CHUNK_LEN);
        if full {
            self.cut_chunk(buffers);
        }
        full
    }

    /// Pads the tail and hands all of it over for writing.
    fn seal(&mut self, buffers: &Arc<BufferPool>) {
        let Some(open) = &mut self.open else { return };
        let padded = open.tail.length.next_multiple_of(BLOCK_LEN as usize);
        open.tail.grow(padded, 0);
        if padded > 0 {
            self.cut_chunk(buffers);
        }
    }

    fn cut_chunk(&mut self, buffers: &Arc<BufferPool>) {
        let open = self.open.as_mut().expect("there is a tail");
        let whole = open.tail.length / BLOCK_LEN as usize * BLOCK_LEN as usize;
        let mut rest = Tail { buffer: buffers.take(BUFFER_LEN), length: 0 };
        let left = &open.tail.bytes()[whole..];
        rest.grow(0, left.len()).copy_from_slice(left);
        let mut bytes = mem::replace(&mut open.tail, rest);
        bytes.length = whole;
        self.chunks.push_back(Arc::new(Chunk { file: open.file.clone(), start: open.start, bytes }));
        open.start += whole as u32;
    }
}

/// Where `length` bytes go when the last ones ended at `offset`: nodes want a boundary.
pub fn place_after(stream: Stream, offset: u32, length: u32) -> u32 {
    match stream {
        Stream::Node if length == BLOCK_LEN => offset.next_multiple_of(BLOCK_LEN),
        _ => offset,
    }
}
