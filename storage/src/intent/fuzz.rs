//! The decoders of groups, positions and whole logs, for fuzzers.

use crate::format::{Checksum, Decoder, Encoder, PoolId, Target};
use crate::intent::codec::{GroupHeader, HASH_AT, HEADER_LEN, LENGTH_LEN};
use crate::intent::ring::PAGE_LEN;
use crate::intent::{INTENT_LEN_MIN, INTENT_NAME, IntentLog, LogPosition};
use crate::media::{Media, Simulator};

/// Where a group has the hash of the one before.
const PREVIOUS_AT: usize = HASH_AT - 32;

pub(crate) const TARGETS: [Target; 3] = [
    Target::new("intent-group", group_again)
        .sealed(seal)
        .with_parts(|bytes| records(bytes).unwrap_or_default())
        .named_by(|bytes| Some(Checksum(*bytes.get(HASH_AT..)?.first_chunk()?))),
    Target::new("log-position", |bytes| {
        let mut from = Decoder::new(bytes);
        let position = LogPosition::decode(&mut from).ok().filter(|_| from.rest().is_empty())?;
        let mut out = Encoder::default();
        position.encode(&mut out);
        Some(out.bytes)
    }),
    Target::new("intent-log", log_again).sealed(seal_log).within(8 << 20),
];

fn records(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (header, _) = GroupHeader::decode(bytes).ok()?;
    header.records(bytes).ok()
}

fn group_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, hash) = GroupHeader::decode(bytes).ok()?;
    let records = header.records(bytes).ok()?;
    let mut again = vec![0; HEADER_LEN];
    for record in &records {
        again.extend_from_slice(&(record.len() as u32).to_le_bytes());
        again.extend_from_slice(record);
    }
    assert!(again.len() == HEADER_LEN + records.iter().map(|record| LENGTH_LEN + record.len()).sum::<usize>());
    assert!(header.seal(&mut again) == hash, "a group's hash is not the one that it was read with");
    Some(again)
}

/// Sets the length, and the hash of all but the hash.
fn seal(bytes: &mut [u8]) {
    if bytes.len() < HEADER_LEN {
        return;
    }
    let len = bytes.len() as u32;
    bytes[12..16].copy_from_slice(&len.to_le_bytes());
    let hash = Checksum::of(&[&bytes[..HASH_AT], &bytes[HEADER_LEN..]].concat());
    bytes[HASH_AT..HEADER_LEN].copy_from_slice(&hash.0);
}

/// Seals the groups from the front on, each chained to the one before, as far as they tell plausible lengths.
fn seal_log(bytes: &mut [u8]) {
    let (mut at, mut previous) = (0, [0; 32]);
    while let Some(len) = bytes.get(at..).and_then(GroupHeader::peek_len)
        && let Some(group) = bytes.get_mut(at..at + len)
    {
        group[PREVIOUS_AT..HASH_AT].copy_from_slice(&previous);
        let hash = Checksum::of(&[&group[..HASH_AT], &group[HEADER_LEN..]].concat());
        group[HASH_AT..HEADER_LEN].copy_from_slice(&hash.0);
        (at, previous) = (at + len.next_multiple_of(PAGE_LEN as usize), hash.0);
    }
}

/// The records of the groups that follow each other from the front of a ring, as FORMAT.md tells it.
fn chained(bytes: &[u8], pool: PoolId, size: usize) -> Vec<Vec<u8>> {
    let (mut all, mut at, mut previous) = (Vec::new(), 0, Checksum([0; 32]));
    for sequence in 1.. {
        let Some(len) = bytes.get(at..).and_then(GroupHeader::peek_len) else { break };
        let is_bounded = len <= size / 2 && at + len.next_multiple_of(PAGE_LEN as usize) <= size;
        let Some(group) = bytes.get(at..at + len).filter(|_| is_bounded) else { break };
        let Ok((header, hash)) = GroupHeader::decode(group) else { break };
        let is_here = header.pool == pool && header.offset == at as u64;
        if !is_here || header.sequence != sequence || header.previous != previous {
            break;
        }
        let Ok(records) = header.records(group) else { break };
        all.extend(records);
        (at, previous) = (at + len.next_multiple_of(PAGE_LEN as usize), hash);
    }
    all
}

/// Takes the bytes for the start of a ring, and opens it twice: what the first opening finds, the second finds too.
fn log_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let pool = PoolId(*bytes.get(16..)?.first_chunk()?);
    let media = Simulator::new();
    let size = (bytes.len() as u64).next_multiple_of(4096).clamp(INTENT_LEN_MIN, 1 << 20);
    let file = media.create(INTENT_NAME, size).ok()?;
    file.write_at(&bytes[..bytes.len().min(size as usize)], 0).ok()?;
    let looked = IntentLog::look(&media, pool, LogPosition::START);
    let (log, found) = IntentLog::open(&media, pool, LogPosition::START).ok()?;
    let found: Vec<Vec<u8>> = found.into_iter().map(|logged| logged.bytes).collect();
    assert!(found == chained(bytes, pool, size as usize), "other records are found than the groups have");
    // Looking also sees what was written over since.
    assert!(
        looked.is_err() || looked.is_ok_and(|looked| looked.iter().map(|logged| &logged.bytes).eq(&found)),
        "a look sees another log"
    );
    drop(log);
    let (_, second) = IntentLog::open(&media, pool, LogPosition::START).expect("what was opened opens again");
    assert!(second.iter().map(|logged| &logged.bytes).eq(&found), "a second opening finds other records");
    Some(bytes.to_vec()).filter(|_| !found.is_empty())
}
