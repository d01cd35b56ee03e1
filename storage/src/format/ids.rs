//! Ids and positions, each a type of its own so that none is taken for another.

use std::fmt;

/// Names a pool; drawn at random when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolId(pub [u8; 16]);

/// Names a dataset within its pool; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId(pub u64);

/// Names a snapshot within its pool; never reused, and drawn from the same numbers as datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub u64);

/// Names a file within its dataset; never reused, also over rewind and crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeNumber(pub u64);

impl InodeNumber {
    /// The root directory of every dataset.
    pub const ROOT: Self = Self(1);
}

/// The number of the commit that a pointer was first written in (48 bits).
///
/// A snapshot made by commit `n` holds pointers born at `n` or before; what the head writes
/// afterwards is born later, so comparing births tells what a snapshot still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Birth(pub u64);

/// An append-only file of the pool (40 bits); never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// One more than the largest id.
    pub const LIMIT: u64 = 1 << 40;
}

/// Names an extent or a node for ever: the segment it was first written to, and its number there.
///
/// Where it lies now is what the slot table says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u64);

impl SlotId {
    /// Slots a segment can have.
    pub const SLOTS_PER_SEGMENT: u32 = 1 << 24;

    /// The slot numbered `slot` of `segment`.
    pub fn new(segment: SegmentId, slot: u32) -> Self {
        assert!(segment.0 < SegmentId::LIMIT && slot < Self::SLOTS_PER_SEGMENT);
        Self(segment.0 << 24 | u64::from(slot))
    }

    /// The segment that the extent or node was first written to.
    pub fn segment(self) -> SegmentId {
        SegmentId(self.0 >> 24)
    }

    /// Its number there.
    pub fn slot(self) -> u32 {
        (self.0 & 0xff_ffff) as u32
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment().0, self.slot())
    }
}

/// A moment: seconds since 1970 and nanoseconds below one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01 00:00 UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanoseconds: u32,
}
