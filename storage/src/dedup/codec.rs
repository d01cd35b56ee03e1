//! The layout of a chunk of the saved index. See `FORMAT.md`, "Saved index chunk".

use crate::dedup::index::Entry;
use crate::format::{Checksum, DecodeError, Decoder, Encoder, PoolId, SlotId};

const MAGIC: [u8; 8] = *b"cowDEDUP";
const VERSION: u16 = 1;
const NAME: &str = "a chunk of the saved index";
const CHECKED_LEN: usize = 8 + 2 + 2 + 4 + 16 + 8 + 8;
const HEADER_LEN: usize = CHECKED_LEN + 16;
const ENTRY_LEN: usize = 8 + 8;

/// Bytes from one chunk to the next.
pub(in crate::dedup) const CHUNK_LEN: usize = 1 << 20;
/// Most entries in a chunk; all but the last have so many.
pub(in crate::dedup) const ENTRIES_MAX: usize = (CHUNK_LEN - HEADER_LEN) / ENTRY_LEN;

const _: () = assert!(HEADER_LEN == 64 && HEADER_LEN + ENTRIES_MAX * ENTRY_LEN == CHUNK_LEN);

/// Bytes of a file with so many entries.
pub(in crate::dedup) fn file_len(entries: usize) -> u64 {
    let rest = entries % ENTRIES_MAX;
    let last = if rest == 0 { 0 } else { (HEADER_LEN + rest * ENTRY_LEN).next_multiple_of(4096) };
    (entries / ENTRIES_MAX * CHUNK_LEN + last) as u64
}

/// The chunk with this number, padded to whole pages.
pub(in crate::dedup) fn encode(pool: PoolId, number: u64, entries: &[Entry]) -> Vec<u8> {
    let mut front = Encoder::with_capacity(CHECKED_LEN);
    front.raw(&MAGIC).u16(VERSION).u16(0).u32(entries.len() as u32).raw(&pool.0).u64(number).u64(0);
    let mut body = Encoder::with_capacity(entries.len() * ENTRY_LEN);
    for entry in entries {
        body.u64(entry.fingerprint).u64(entry.id.0);
    }
    let checksum = checksum(&front.bytes, &body.bytes);
    front.raw(&checksum).raw(&body.bytes);
    front.bytes.resize(front.bytes.len().next_multiple_of(4096), 0);
    front.bytes
}

/// The entries of a chunk, if it is this pool's and has this number.
pub(in crate::dedup) fn decode(bytes: &[u8], pool: PoolId, number: u64) -> Result<Vec<Entry>, DecodeError> {
    let mut fields = Decoder::new(bytes);
    let front = fields.raw(CHECKED_LEN)?;
    let expected: [u8; 16] = fields.array()?;
    let mut front_fields = Decoder::new(front);
    if front_fields.array()? != MAGIC {
        return Err(DecodeError::Magic(NAME));
    }
    match front_fields.u16()? {
        VERSION => {}
        found => return Err(DecodeError::Version { structure: NAME, found, known: VERSION }),
    }
    let (zero, count) = (front_fields.u16()?, front_fields.u32()? as usize);
    if zero != 0 || count == 0 || count > ENTRIES_MAX {
        return Err(DecodeError::Field("number of entries"));
    }
    if PoolId(front_fields.array()?) != pool || front_fields.u64()? != number || front_fields.u64()? != 0 {
        return Err(DecodeError::Field("pool or number"));
    }
    let body = fields.raw(count * ENTRY_LEN)?;
    if checksum(front, body) != expected {
        return Err(DecodeError::Checksum(NAME));
    }
    let mut fields = Decoder::new(body);
    (0..count).map(|_| decode_entry(&mut fields)).collect()
}

fn decode_entry(from: &mut Decoder<'_>) -> Result<Entry, DecodeError> {
    let entry = Entry { fingerprint: from.u64()?, id: SlotId(from.u64()?) };
    if entry.fingerprint == 0 { Err(DecodeError::Field("fingerprint")) } else { Ok(entry) }
}

fn checksum(front: &[u8], body: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(front).update(body);
    Checksum(*hasher.finalize().as_bytes()).block_hash().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{SegmentId, example};

    const POOL: PoolId = PoolId(*b"0123456789abcdef");

    fn entry(number: u64) -> Entry {
        Entry { fingerprint: number << 40 | 0xfe, id: SlotId::new(SegmentId(number), 5) }
    }

    #[test]
    fn the_documented_example_is_what_is_stored() {
        let entries = [entry(3), entry(4)];
        let bytes = encode(POOL, 2, &entries);
        assert_eq!(bytes, example::documented("Saved index chunk", 4096), "\n{}", example::render(&bytes));
        assert_eq!(decode(&bytes, POOL, 2), Ok(entries.to_vec()));
    }

    #[test]
    fn nothing_else_is_taken_for_a_chunk() {
        let entries = [entry(3), entry(4)];
        let bytes = encode(POOL, 2, &entries);
        let len = HEADER_LEN + 2 * ENTRY_LEN;
        for at in 0..len {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(decode(&damaged, POOL, 2).is_err(), "byte {at}");
            assert!(decode(&bytes[..at], POOL, 2).is_err(), "{at} bytes");
        }
        assert!(decode(&bytes, PoolId([1; 16]), 2).is_err(), "it is another pool's");
        assert!(decode(&bytes, POOL, 1).is_err(), "it is another chunk");
        assert_eq!(decode(&bytes[..len], POOL, 2), Ok(entries.to_vec()), "padding is not needed");
        for count in [1, 251, 252, 253, ENTRIES_MAX] {
            let entries: Vec<_> = (1..=count as u64).map(entry).collect();
            let bytes = encode(POOL, 0, &entries);
            assert_eq!(bytes.len() as u64, file_len(count));
            assert_eq!(decode(&bytes, POOL, 0), Ok(entries));
        }
        assert_eq!(file_len(2 * ENTRIES_MAX + 1), (2 * CHUNK_LEN + 4096) as u64);
        assert_eq!(file_len(0), 0);
    }
}
