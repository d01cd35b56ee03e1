//! The layout of a place, and of what the superblock says of the segments.

use crate::format::{DecodeError, Decoder, Encoder, SegmentId};
use crate::segment::{Place, Stream};

impl Place {
    /// Bytes of an encoded place.
    pub const ENCODED_LEN: usize = 14;

    /// Appends segment (u48), offset (u32) and length (u32).
    pub fn encode(&self, out: &mut Encoder) {
        out.u48(self.segment.0).u32(self.offset).u32(self.length);
    }

    /// Takes a place that lies in a segment of at most 64 MiB.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let place = Self { segment: decode_segment(from)?, offset: from.u32()?, length: from.u32()? };
        let end = place.offset.checked_add(place.length);
        if end.is_none_or(|end| end > 64 << 20) {
            return Err(DecodeError::Field("place"));
        }
        Ok(place)
    }

    /// The first byte after it.
    pub fn end(&self) -> u32 {
        self.offset + self.length
    }
}

fn decode_segment(from: &mut Decoder<'_>) -> Result<SegmentId, DecodeError> {
    let segment = from.u48()?;
    if segment >= SegmentId::LIMIT {
        return Err(DecodeError::Field("segment"));
    }
    Ok(SegmentId(segment))
}

/// A segment that was being appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSegment {
    /// Which one.
    pub segment: SegmentId,
    /// What it holds.
    pub stream: Stream,
    /// Bytes of it that the commit made durable: a multiple of 4 KiB.
    pub length: u32,
}

/// What a commit must remember of the segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentsState {
    /// No segment had this number or a larger one.
    pub next: SegmentId,
    /// Those being appended to.
    pub open: Vec<OpenSegment>,
}

impl SegmentsState {
    /// Appends next (u48), the number of open segments (u8), and of each: segment (u48), stream (u8), length (u32).
    pub fn encode(&self, out: &mut Encoder) {
        out.u48(self.next.0).u8(self.open.len() as u8);
        for open in &self.open {
            out.u48(open.segment.0).u8(open.stream as u8).u32(open.length);
        }
    }

    /// Takes what `encode` wrote.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let next = decode_segment(from)?;
        let count = from.u8()?;
        if usize::from(count) > Stream::ALL.len() {
            return Err(DecodeError::Field("open segments"));
        }
        let open = (0..count).map(|_| decode_open(from)).collect::<Result<_, _>>()?;
        Ok(Self { next, open })
    }
}

fn decode_open(from: &mut Decoder<'_>) -> Result<OpenSegment, DecodeError> {
    let segment = decode_segment(from)?;
    let stream = *Stream::ALL.get(usize::from(from.u8()?)).ok_or(DecodeError::Field("stream"))?;
    Ok(OpenSegment { segment, stream, length: from.u32()? })
}
