//! Plans where several pieces will lie before their bytes are known.
//!
//! Invariant: nobody else appends to the stream while this exists, so the pieces land where they
//! were planned.

use std::collections::VecDeque;

use crate::error::Result;
use crate::format::SegmentId;
use crate::segment::stream::{Inner, StreamWriter, place_after};
use crate::segment::{BLOCK_LEN, OpenSegment, Place, Stream};
use crate::sync::MutexGuard;

/// The only one who appends to a stream, as long as it lives.
pub struct Exclusive<'a> {
    writer: &'a StreamWriter,
    inner: MutexGuard<'a, Inner>,
    privileged: bool,
    segment: SegmentId,
    offset: u32,
    /// How many spares the plan uses.
    begun: usize,
    planned: VecDeque<Place>,
}

impl<'a> Exclusive<'a> {
    pub(in crate::segment) fn new(writer: &'a StreamWriter, privileged: bool) -> Result<Self> {
        let mut inner = writer.lock();
        writer.make_room(&mut inner, privileged, 0, false)?;
        let (segment, offset) = inner.position().expect("room was made");
        Ok(Self { writer, inner, privileged, segment, offset, begun: 0, planned: VecDeque::new() })
    }

    /// Plans the next `length` bytes. Fails with `NoSpace` when they need a segment that cannot be had.
    pub fn place(&mut self, length: u32) -> Result<Place> {
        let segment_len = self.writer.files.options().segment_len;
        let mut offset = place_after(self.writer.stream, self.offset, length);
        if offset + length > segment_len {
            self.writer.have_spares(&mut self.inner, self.privileged, self.begun + 1)?;
            self.segment = self.inner.upcoming(self.begun);
            self.begun += 1;
            offset = 0;
        }
        self.offset = offset + length;
        let place = Place { segment: self.segment, offset, length };
        self.planned.push_back(place);
        Ok(place)
    }

    /// Plans a piece that ends where a block does: zeros, as few as that takes, and then `length` bytes, at most a block.
    pub fn place_to_block_end(&mut self, length: u32) -> Result<Place> {
        let room = self.offset.next_multiple_of(BLOCK_LEN) - self.offset;
        let needed = if room >= length { room } else { room + BLOCK_LEN };
        // The next segment begins a block.
        let fits = self.offset + needed <= self.writer.files.options().segment_len;
        self.place(if fits { needed } else { BLOCK_LEN })
    }

    /// The stream that is appended to.
    pub(in crate::segment) fn stream(&self) -> Stream {
        self.writer.stream
    }

    /// The segment being appended to as it will be once all that is planned is appended.
    pub(in crate::segment) fn open_segment(&self) -> OpenSegment {
        let length = self.offset.next_multiple_of(BLOCK_LEN);
        OpenSegment { segment: self.segment, stream: self.writer.stream, length }
    }

    /// Appends the piece that was planned next.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Place> {
        let planned = self.planned.pop_front().expect("every piece is planned first");
        let length = bytes.len() as u32;
        self.writer.make_room(&mut self.inner, self.privileged, length, false)?;
        let place = self.inner.fill(self.writer.stream, length, |_, out| out.copy_from_slice(bytes));
        assert_eq!(place, planned, "pieces land where they were planned");
        self.inner.seal_when_full(&self.writer.buffers);
        Ok(place)
    }
}
