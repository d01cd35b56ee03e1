//! Preallocated append-only files: where extents, nodes and pages lie.
//!
//! Invariant: bytes are appended once and never overwritten, segment numbers only grow, and a file
//! that an earlier process appended to is never appended to again. So a [`Place`] that was handed
//! out means the same bytes until its segment is retired.

mod backwards;
mod codec;
mod exclusive;
mod files;
mod segments;
mod stream;
#[cfg(test)]
mod tests;

use crate::format::SegmentId;

pub use backwards::{Backwards, Block};
pub use codec::{OpenSegment, SegmentsState};
pub use exclusive::Exclusive;
pub use files::is_segment_name;
pub use segments::Segments;
pub use stream::Finished;

/// Nodes, buffered writes and sealed tails are multiples of this many bytes.
pub const BLOCK_LEN: u32 = 4096;

/// Most ids that one segment gives out: a segment of tiny extents is finished early, so that the
/// slot tables of different segments stay close together.
pub const SLOTS_MAX: u32 = 1 << 16;

/// Bytes that something lies at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub segment: SegmentId,
    /// The first byte there.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
}

/// What kind of bytes a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Extents, packed to the byte.
    Data,
    /// Nodes, each on a 4 KiB boundary, and between them pages, packed to the byte.
    Node,
}

impl Stream {
    /// Both, in the order of their stored numbers.
    pub const ALL: [Self; 2] = [Self::Data, Self::Node];
}

/// How segments are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Bytes in a segment file: a multiple of 1 MiB, at most 64 MiB.
    pub segment_len: u32,
    /// How many segments are kept back for privileged appends.
    pub reserve_count: u32,
}
