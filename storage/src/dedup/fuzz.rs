//! The decoder of the saved index, for fuzzers.

use crate::dedup::codec::{decode, encode};
use crate::format::{Checksum, Decoder, PoolId, Target};

pub(crate) const TARGETS: [Target; 1] = [Target::new("saved-index-chunk", again).sealed(seal).within(2 << 20)];

/// Reads a chunk of the pool and number that it tells; padding after it is not looked at.
fn again(bytes: &[u8]) -> Option<Vec<u8>> {
    let pool = PoolId(*bytes.get(16..)?.first_chunk()?);
    let number = Decoder::new(bytes.get(32..)?).u64().ok()?;
    let entries = decode(bytes, pool, number).ok()?;
    let again = encode(pool, number, &entries);
    let used = 64 + entries.len() * 16;
    assert!(again[..used] == bytes[..used], "a chunk was decoded that no writer stores");
    Some(bytes.to_vec())
}

/// Sets the checksum of the front and of as many entries as the front tells.
fn seal(bytes: &mut [u8]) {
    let Some(count) = bytes.get(12..16).and_then(|bytes| Decoder::new(bytes).u32().ok()) else { return };
    let Some(entries) = bytes.get(64..64 + count as usize * 16) else { return };
    let checksum = Checksum::of(&[&bytes[..48], entries].concat());
    bytes[48..64].copy_from_slice(&checksum.0[..16]);
}
