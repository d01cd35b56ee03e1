//! Ids, places, fixed layouts and checksums: encode and decode, nothing else.
//!
//! Every structure on disk is little-endian and written by hand; the module that owns a structure
//! keeps its layout in a `codec.rs` of its own, built on [`Encoder`] and [`Decoder`].

mod checksum;
mod codec;
#[cfg(test)]
pub(crate) mod example;
mod ids;
#[cfg(feature = "fuzzing")]
mod target;

pub use checksum::{BlockHash, Checksum};
pub use codec::{DecodeError, Decoder, Encoder};
pub use ids::{Birth, DatasetId, InodeNumber, PoolId, SegmentId, SlotId, SnapshotId, Timestamp};
#[cfg(feature = "fuzzing")]
pub use target::{Target, put_checksum};
