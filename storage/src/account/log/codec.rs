//! The layout of the free log's chunks, and of the list of them.

use crate::account::link::{Link, decode_front};
use crate::account::log::{Chunk, Delta, Entry};
use crate::format::{Birth, DecodeError, Decoder, Encoder};

const CHUNK_MAGIC: &[u8; 4] = b"COWF";
const HEAD_MAGIC: &[u8; 4] = b"COWH";
const VERSION: u16 = 1;
/// A chunk is closed when it has this many bytes.
const CHUNK_LEN: usize = 64 << 10;

const FOLD: u8 = 0;
const DELTA: u8 = 1;

/// The bytes of as many chunks as `entries` need, each with the number of its entries. Neighbouring
/// entries of one page, and births close to `newest`, take few bytes.
pub fn encode_chunks(entries: impl Iterator<Item = Entry>, newest: Birth) -> Vec<(Vec<u8>, u32)> {
    let mut chunks = Vec::new();
    let mut entries = entries.peekable();
    while entries.peek().is_some() {
        let mut body = Encoder::with_capacity(CHUNK_LEN + 64);
        let (mut page_before, mut count) = (0, 0);
        while body.bytes.len() < CHUNK_LEN
            && let Some(entry) = entries.next()
        {
            encode_entry(&mut body, entry, &mut page_before, newest);
            count += 1;
        }
        let mut out = Encoder::with_capacity(body.bytes.len() + 32);
        out.raw(CHUNK_MAGIC).u16(VERSION).u16(0).u48(newest.0).u16(0).u32(count).raw(&body.bytes);
        chunks.push((out.bytes, count));
    }
    chunks
}

fn encode_entry(out: &mut Encoder, entry: Entry, page_before: &mut u64, newest: Birth) {
    let (kind, page, birth) = match entry {
        Entry::Fold { page, up_to } => (FOLD, page, up_to),
        Entry::Delta { page, delta } => (DELTA, page, delta.birth),
    };
    out.u8(kind).varint(zigzag(page.wrapping_sub(*page_before) as i64)).varint(newest.0 - birth.0);
    *page_before = page;
    if let Entry::Delta { delta, .. } = entry {
        out.u8(delta.slot).u8(delta.first).u8(delta.count).varint(zigzag(i64::from(delta.change)));
    }
}

/// Decodes a chunk.
pub fn decode_chunk(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let mut from = Decoder::new(bytes);
    decode_front(&mut from, "a free log chunk", CHUNK_MAGIC, VERSION)?;
    let (reserved, newest, more_reserved) = (from.u16()?, from.u48()?, from.u16()?);
    let count = from.u32()?;
    if reserved != 0 || more_reserved != 0 || count == 0 {
        return Err(DecodeError::Field("free log chunk's header"));
    }
    let mut page = 0;
    let entries = (0..count).map(|_| decode_entry(&mut from, &mut page, newest)).collect();
    if from.rest().is_empty() { entries } else { Err(DecodeError::Field("chunk length")) }
}

fn decode_entry(from: &mut Decoder<'_>, page: &mut u64, newest: u64) -> Result<Entry, DecodeError> {
    let kind = from.u8()?;
    *page = page.wrapping_add(unzigzag(from.varint()?) as u64);
    let birth = Birth(newest.checked_sub(from.varint()?).ok_or(DecodeError::Field("birth"))?);
    if *page >> 48 != 0 {
        return Err(DecodeError::Field("page number"));
    }
    match kind {
        FOLD => Ok(Entry::Fold { page: *page, up_to: birth }),
        DELTA => {
            let (slot, first, count) = (from.u8()?, from.u8()?, from.u8()?);
            let change = i32::try_from(unzigzag(from.varint()?)).map_err(|_| DecodeError::Field("change"))?;
            match first.checked_add(count) {
                Some(end) if end <= 32 && count > 0 => {
                    Ok(Entry::Delta { page: *page, delta: Delta { birth, change, slot, first, count } })
                }
                _ => Err(DecodeError::Field("blocks")),
            }
        }
        _ => Err(DecodeError::Field("entry kind")),
    }
}

/// The bytes of the list of chunks.
pub fn encode_head(chunks: &[Chunk]) -> Vec<u8> {
    let mut out = Encoder::with_capacity(16 + chunks.len() * (Link::ENCODED_LEN + 4));
    out.raw(HEAD_MAGIC).u16(VERSION).u16(0).u32(chunks.len() as u32);
    for chunk in chunks {
        chunk.link.encode(&mut out);
        out.u32(chunk.entries);
    }
    out.bytes
}

/// Decodes the list of chunks.
pub fn decode_head(bytes: &[u8]) -> Result<Vec<Chunk>, DecodeError> {
    let mut from = Decoder::new(bytes);
    decode_front(&mut from, "the free log's list", HEAD_MAGIC, VERSION)?;
    let (reserved, count) = (from.u16()?, from.u32()?);
    if reserved != 0 {
        return Err(DecodeError::Field("free log list's header"));
    }
    let chunk = |from: &mut Decoder<'_>| Ok(Chunk { link: Link::decode(from)?, entries: from.u32()? });
    let chunks = (0..count).map(|_| chunk(&mut from)).collect();
    if from.rest().is_empty() { chunks } else { Err(DecodeError::Field("list length")) }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example;

    #[test]
    fn the_documented_example_is_what_is_stored() {
        let delta = Delta { birth: Birth(76), change: -1, slot: 5, first: 2, count: 3 };
        let entries = [Entry::Fold { page: 300, up_to: Birth(70) }, Entry::Delta { page: 299, delta }];
        let chunks = encode_chunks(entries.into_iter(), Birth(77));
        let (bytes, count) = &chunks[0];
        assert_eq!((chunks.len(), *count), (1, 2));
        assert_eq!(*bytes, example::documented("Free log chunk", bytes.len()), "\n{}", example::render(bytes));
        let again = decode_chunk(bytes).unwrap();
        assert_eq!(encode_chunks(again.into_iter(), Birth(77)), chunks);
    }
}
