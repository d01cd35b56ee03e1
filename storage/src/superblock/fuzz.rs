//! The decoders of slots and copies, for fuzzers.

use crate::format::{Decoder, SegmentId, Target, put_checksum};
use crate::superblock::{COPY_LENGTHS, SLOT_LEN, Superblock};

pub(crate) const TARGETS: [Target; 2] = [
    Target::new("superblock-slot", |bytes| slot(bytes).map(|found| found.encode()))
        .sealed(|bytes| put_checksum(bytes, 0..SLOT_LEN - 32, SLOT_LEN - 32, 32))
        .with_parts(|bytes| slot(bytes).map(|found| found.payload).into_iter().collect()),
    Target::new("superblock-copy", copy_again).sealed(|bytes| {
        if let Some(end) = bytes.len().checked_sub(32) {
            put_checksum(bytes, 0..end, end, 32);
        }
    }),
];

fn slot(bytes: &[u8]) -> Option<Superblock> {
    Superblock::decode(bytes.try_into().ok()?).ok()
}

/// A copy tells its own place, and has one of two lengths.
fn copy_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut place = Decoder::new(bytes.get(36..)?);
    let (segment, offset) = (SegmentId(place.u48().ok()?), place.u32().ok()?);
    let end = offset.checked_add(bytes.len() as u32).filter(|_| COPY_LENGTHS.contains(&bytes.len()))?;
    let found = Superblock::decode_copy(bytes, segment, offset).ok()?;
    Some(found.encode_copy(segment, offset, end))
}
