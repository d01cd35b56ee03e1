//! The decoder of extents, for fuzzers.

use crate::extent::codec::{Encoding, stamp};
use crate::extent::{BLOCKS_MAX, Compressor, Extent, HASH_LEN, HEADER_LEN, Header};
use crate::format::{BlockHash, Checksum, Encoder, SlotId, Target};

/// Where a header has its number of blocks.
const COUNT_AT: usize = 7;

pub(crate) const TARGETS: [Target; 1] = [Target::new("extent", again).sealed(seal).within(1 << 20)];

/// Opens all blocks, each by the half of its hash that a leaf has.
fn again(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = Header::decode(bytes).ok()?;
    let mut compressor = Compressor::new().expect("there is memory for a compressor");
    let extent = Extent::open(bytes, header.id, &mut compressor).ok()?;
    let damaged = extent.damaged();
    for (index, hash) in header.hashes.iter().enumerate() {
        let is_whole = header.present >> index & 1 == 1 && damaged >> index & 1 == 0;
        match extent.block(index, &hash.block_hash()) {
            Ok(block) => assert!(BlockHash::of(block) == hash.block_hash() && header.present >> index & 1 == 1),
            Err(_) => assert!(!is_whole, "a whole block is refused"),
        }
    }
    let mut out = Encoder::default();
    header.encode(&mut out);
    stamp(&mut out.bytes, header.id);
    out.raw(&bytes[header.encoded_len()..]);
    Some(out.bytes)
}

/// Sets the hashes of the blocks, where they are stored as they are, and the checksum of the header.
fn seal(bytes: &mut [u8]) {
    let count = usize::from(bytes.get(COUNT_AT).copied().unwrap_or_default());
    let header_len = HEADER_LEN + count * HASH_LEN;
    if !(1..=BLOCKS_MAX).contains(&count) || bytes.len() < header_len {
        return;
    }
    let id = SlotId(u64::from_le_bytes(*bytes[8..].first_chunk().expect("the header is longer")));
    stamp(&mut bytes[..header_len], id);
    let Some(header) = Header::decode(bytes).ok().filter(|header| header.encoding == Encoding::Raw) else { return };
    let present: Vec<usize> = (0..count).filter(|index| header.present >> index & 1 == 1).collect();
    for (block, index) in present.into_iter().enumerate() {
        let start = header_len + block * header.block_len();
        if let Some(hash) = bytes.get(start..start + header.block_len()).map(Checksum::of) {
            bytes[HEADER_LEN + index * HASH_LEN..][..HASH_LEN].copy_from_slice(&hash.0);
        }
    }
    stamp(&mut bytes[..header_len], id);
}
