//! Both streams and their files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::executor::Executor;
use crate::format::{SegmentId, SlotId};
use crate::media::Media;
use crate::segment::files::Files;
use crate::segment::stream::StreamWriter;
use crate::segment::{Exclusive, Finished, Place, SegmentOptions, SegmentsState, Stream};

/// All segments of a pool. Safe to use from several threads.
///
/// A privileged append may use the reserve when the host is full; others fail with `NoSpace`.
pub struct Segments {
    files: Arc<Files>,
    data: Arc<StreamWriter>,
    node: Arc<StreamWriter>,
}

impl Segments {
    /// Opens what is there. Nothing that exists is appended to: new segments are begun.
    pub fn open(media: Arc<dyn Media>, options: SegmentOptions, state: Option<&SegmentsState>) -> Result<Self> {
        let next = state.map_or(SegmentId(0), |state| state.next);
        let files = Arc::new(Files::open(media, options, next)?);
        let data = Arc::new(StreamWriter::new(Stream::Data, Arc::clone(&files)));
        let node = Arc::new(StreamWriter::new(Stream::Node, Arc::clone(&files)));
        Ok(Self { files, data, node })
    }

    /// Lets `executor` write what is appended from now on, while more is: appends wait for the disk only if it falls behind.
    pub fn write_behind(&self, executor: &Arc<dyn Executor>) {
        Stream::ALL.iter().for_each(|stream| self.writer(*stream).write_behind(Arc::clone(executor)));
    }

    /// Takes off what was appended to the then open segments after `state` was made durable.
    pub fn cut_tails(&self, state: &SegmentsState) -> Result<()> {
        for open in &state.open {
            let file = match self.files.handle(open.segment) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other?,
            };
            let length = u64::from(open.length);
            let cut = file.length().and_then(|found| match found > length {
                true => file.truncate(length).and_then(|()| file.flush()),
                false => Ok(()),
            });
            cut.map_err(|error| error.during("cut the tail of a segment"))?;
        }
        Ok(())
    }

    /// Appends bytes; their place is known at once, and they can be read at once.
    pub fn append(&self, stream: Stream, privileged: bool, bytes: &[u8]) -> Result<Place> {
        let length = length_of(bytes.len())?;
        self.writer(stream).append(privileged, length, |_, out| out.copy_from_slice(bytes))
    }

    /// Appends `length` bytes that `fill` makes, knowing their place. No other append to the stream happens
    /// meanwhile.
    pub fn append_with(
        &self,
        stream: Stream,
        privileged: bool,
        length: usize,
        fill: impl FnOnce(Place, &mut [u8]),
    ) -> Result<Place> {
        self.writer(stream).append(privileged, length_of(length)?, fill)
    }

    /// Appends `length` bytes that `fill` makes, knowing the id and place that they get. No other append
    /// to the stream happens meanwhile.
    pub fn append_numbered(
        &self,
        stream: Stream,
        privileged: bool,
        length: usize,
        fill: impl FnOnce(SlotId, Place, &mut [u8]),
    ) -> Result<(SlotId, Place)> {
        self.writer(stream).append_numbered(privileged, length_of(length)?, fill)
    }

    /// Keeps all others from appending to a stream.
    pub fn exclusive(&self, stream: Stream, privileged: bool) -> Result<Exclusive<'_>> {
        Exclusive::new(self.writer(stream), privileged)
    }

    /// Fills `out`, whose length is the place's, whether or not the bytes were written yet.
    pub fn read(&self, place: Place, out: &mut [u8]) -> Result<()> {
        assert_eq!(out.len(), place.length as usize, "the buffer is as long as the place");
        let Some(stream) = self.files.stream_of(place.segment) else {
            return Err(lost(place.segment));
        };
        let missing = self.writer(stream).read_buffered(place, out);
        if missing > 0 {
            let file = self.files.handle(place.segment).map_err(|error| match error.kind() {
                ErrorKind::NotFound => lost(place.segment),
                _ => error,
            })?;
            let read = file.read_at(&mut out[..missing], u64::from(place.offset));
            read.map_err(|error| error.during("read from a segment"))?;
        }
        Ok(())
    }

    /// Makes everything appended so far durable. After an error all later appends and flushes fail.
    pub fn flush(&self) -> Result<()> {
        self.data.flush()?;
        self.node.flush()
    }

    /// Makes durable what others appended since `before`, or all there is.
    pub fn flush_since(&self, before: Option<&SegmentsState>) -> Result<()> {
        let open = |stream| before.and_then(|before| before.open.iter().find(|open| open.stream == stream));
        for (segment, stream) in self.files.present() {
            if open(stream).is_none_or(|open| segment >= open.segment) {
                self.files.handle(segment)?.flush().map_err(|error| error.during("flush a segment"))?;
            }
        }
        Ok(())
    }

    /// Makes a segment for each stream ahead, and fills the reserve; returns false when the host has no
    /// room for all of them. Worth calling after every commit.
    pub fn prepare(&self) -> Result<bool> {
        for stream in Stream::ALL {
            let writer = self.writer(stream);
            match writer.have_spares(&mut writer.lock(), false, 1) {
                Err(error) if error.kind() == ErrorKind::NoSpace => return Ok(false),
                other => other?,
            }
        }
        self.files.fill_reserve()
    }

    /// What a commit must remember when all that belongs to it has been appended, or is planned with `last`.
    pub fn state_with(&self, last: &Exclusive<'_>) -> SegmentsState {
        let open = |stream: &Stream| match *stream == last.stream() {
            true => Some(last.open_segment()),
            false => self.writer(*stream).lock().open_segment(*stream),
        };
        SegmentsState { next: self.files.next(), open: Stream::ALL.iter().filter_map(open).collect() }
    }

    /// The segments finished since the last call.
    pub fn take_finished(&self) -> Vec<Finished> {
        Stream::ALL.iter().flat_map(|stream| self.writer(*stream).lock().take_finished()).collect()
    }

    /// Unlinks segments that nothing refers to any more. Reads that began go on.
    pub fn retire(&self, segments: &[SegmentId]) -> Result<()> {
        segments.iter().try_for_each(|segment| self.files.remove(*segment))?;
        if segments.is_empty() { Ok(()) } else { self.files.sync() }
    }

    /// Gives pieces of a finished segment back to the host, for ever: offset and length, multiples of [`BLOCK_LEN`]. They
    /// are gone when this returns. `NotFound` if the segment is gone already.
    pub fn punch(&self, segment: SegmentId, pieces: &[Range<u32>]) -> Result<()> {
        let act = "give back a part of a segment";
        let file = self.files.handle(segment)?;
        for piece in pieces {
            let punched = file.punch(u64::from(piece.start), u64::from(piece.end - piece.start));
            punched.map_err(|error| error.during(act))?;
        }
        // Else a crash could undo what is counted as done.
        file.flush().map_err(|error| self.files.poison(error, act))
    }

    /// The segments whose files exist, spares included.
    pub fn present(&self) -> BTreeMap<SegmentId, Stream> {
        self.files.present()
    }

    /// What a segment holds, if its file exists.
    pub fn stream_of(&self, segment: SegmentId) -> Option<Stream> {
        self.files.stream_of(segment)
    }

    /// The length of a segment's file in bytes, or an error if it is gone.
    pub fn file_length(&self, segment: SegmentId) -> Result<u64> {
        self.files.handle(segment)?.length()
    }

    /// Bytes that the files take on the host, at most: segments, spares and the reserve.
    pub fn stored_len(&self) -> u64 {
        self.files.count() * u64::from(self.files.options().segment_len)
    }

    /// Bytes appended since the segments were opened, padding included.
    pub fn appended_len(&self) -> u64 {
        Stream::ALL.iter().map(|stream| self.writer(*stream).lock().appended_len()).sum()
    }

    /// Gives memory back that is only kept to be used again.
    pub fn release_memory(&self) {
        Stream::ALL.iter().for_each(|stream| self.writer(*stream).buffers.release());
    }

    /// How segments are made.
    pub fn options(&self) -> &SegmentOptions {
        self.files.options()
    }

    fn writer(&self, stream: Stream) -> &Arc<StreamWriter> {
        match stream {
            Stream::Data => &self.data,
            Stream::Node => &self.node,
        }
    }
}

impl Drop for Segments {
    /// Whoever opens the directory next must not meet a write of ours.
    fn drop(&mut self) {
        Stream::ALL.iter().for_each(|stream| self.writer(*stream).end_errands());
    }
}

/// A file that somebody took away: to who reads, that is no missing name of theirs, but damage.
fn lost(segment: SegmentId) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the file of segment {:010x} is gone", segment.0))
}

fn length_of(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|cause| Error::because(ErrorKind::Invalid, "append to a segment", cause))
}
