//! The catalog's records. See `FORMAT.md`, "Catalog items".
//!
//! Invariant: what is decoded here has sound fields; whether records fit each other is for the loader to see.

use std::collections::BTreeMap;

use crate::catalog::forest::{Dataset, Edge, Fate, Sifted, Snapshot};
use crate::catalog::jobs::{Job, Phase};
use crate::catalog::layout::ID_LIMIT;
use crate::catalog::{
    Compression, Holder, List, NAME_MAX, Properties, Sift, Stage, State, SyncMode, names, properties,
};
use crate::format::{Birth, DatasetId, DecodeError, Decoder, Encoder, SnapshotId, Timestamp};
use crate::tree::{Key, Root};

const VERSION: u8 = 1;
/// Of a record that tells of sifting.
const VERSION_SIFTED: u8 = 2;

const DEDUP: u8 = 1;
const READONLY: u8 = 2;
const QUOTA: u8 = 4;

pub(in crate::catalog) fn check_version(structure: &'static str, found: u8) -> Result<(), DecodeError> {
    match found {
        VERSION => Ok(()),
        _ => Err(DecodeError::Version { structure, found: found.into(), known: VERSION.into() }),
    }
}

/// Returns whether a record is one that tells of sifting.
fn check_version_sifted(structure: &'static str, found: u8) -> Result<bool, DecodeError> {
    match found {
        VERSION_SIFTED => Ok(true),
        VERSION => Ok(false),
        _ => Err(DecodeError::Version { structure, found: found.into(), known: VERSION_SIFTED.into() }),
    }
}

pub(in crate::catalog) fn encode_dataset(dataset: &Dataset) -> Vec<u8> {
    let mut record = Encoder::with_capacity(256);
    record.u8(VERSION);
    put_fate(&mut record, dataset.fate);
    put_time(&mut record, dataset.created);
    record.u64(dataset.folder.map_or(0, |id| id.0)).counted(dataset.name.as_bytes());
    put_properties(&mut record, &dataset.properties);
    match &dataset.head {
        Some(head) => put_edge(record.u8(1), head),
        None => drop(record.u8(0)),
    }
    record.bytes
}

/// The dataset without its user properties.
pub(in crate::catalog) fn decode_dataset(record: &[u8]) -> Result<Dataset, DecodeError> {
    let mut record = Decoder::new(record);
    check_version("dataset", record.u8()?)?;
    let dataset = Dataset {
        fate: take_fate(&mut record)?,
        created: take_time(&mut record)?,
        folder: take_id(&mut record)?.map(DatasetId),
        name: take_text(record.counted()?)?,
        properties: take_properties(&mut record)?,
        head: match record.u8()? {
            0 => None,
            1 => Some(take_edge(&mut record)?),
            _ => return Err(DecodeError::Field("dataset's head")),
        },
    };
    let is_live = dataset.fate == Fate::Live;
    let sound = names::check_dataset(&dataset.name).is_ok()
        && (is_live || dataset.folder.is_none())
        && (!is_live || !dataset.name.contains('/'))
        && (dataset.head.is_some() || dataset.fate == Fate::Purged)
        && record.rest().is_empty();
    if sound { Ok(dataset) } else { Err(DecodeError::Field("dataset")) }
}

pub(in crate::catalog) fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let mut record = Encoder::with_capacity(256);
    let tells_of_sifting = snapshot.sifted != Sifted::default();
    record.u8(if tells_of_sifting { VERSION_SIFTED } else { VERSION });
    put_fate(&mut record, snapshot.fate);
    put_time(&mut record, snapshot.created);
    record.u64(snapshot.dataset.0).counted(snapshot.name.as_bytes());
    record.u48(snapshot.birth.0).u8(snapshot.automatic.into());
    put_edge(&mut record, &snapshot.edge);
    if tells_of_sifting {
        record.u8(snapshot.sifted.is_hollow.into()).u64(snapshot.sifted.ends);
    }
    record.bytes
}

/// The snapshot without its holds.
pub(in crate::catalog) fn decode_snapshot(record: &[u8]) -> Result<Snapshot, DecodeError> {
    let mut record = Decoder::new(record);
    let tells_of_sifting = check_version_sifted("snapshot", record.u8()?)?;
    let snapshot = Snapshot {
        fate: take_fate(&mut record)?,
        created: take_time(&mut record)?,
        dataset: DatasetId(record.u64()?),
        name: take_text(record.counted()?)?,
        birth: Birth(record.u48()?),
        automatic: take_flag(&mut record)?,
        holds: Default::default(),
        edge: take_edge(&mut record)?,
        sifted: match tells_of_sifting {
            true => Sifted { is_hollow: take_flag(&mut record)?, ends: record.u64()? },
            false => Sifted::default(),
        },
    };
    let sound = names::check_snapshot(&snapshot.name).is_ok()
        && tells_of_sifting == (snapshot.sifted != Sifted::default())
        && record.rest().is_empty();
    if sound { Ok(snapshot) } else { Err(DecodeError::Field("snapshot")) }
}

pub(in crate::catalog) fn encode_job(job: &Job) -> Vec<u8> {
    let mut record = Encoder::with_capacity(80);
    let (kind, id) = match job.holder {
        Holder::Head(id) => (1, id.0),
        Holder::Snapshot(id) => (2, id.0),
    };
    let version = if matches!(job.phase, Phase::Sift(_)) { VERSION_SIFTED } else { VERSION };
    record.u8(version).u8(kind).u64(id);
    match job.phase {
        Phase::Walk(from) => record.u8(1).raw(&from.encode()),
        Phase::Forget => record.u8(2),
        Phase::Merge => record.u8(3),
        Phase::Sift(sift) => put_sift(&mut record, &sift),
    };
    record.bytes
}

fn put_sift<'a>(record: &'a mut Encoder, sift: &Sift) -> &'a mut Encoder {
    let (code, list, until) = match sift.stage {
        Stage::Find => (4, 0, 0),
        Stage::Take { list, until } => (5, list, until),
        Stage::Drop { list } => (6, list, 0),
    };
    put_list(record.u8(code), sift.found);
    put_list(record, sift.taken);
    record.u64(list).u64(until)
}

fn take_sift(code: u8, record: &mut Decoder<'_>) -> Result<Sift, DecodeError> {
    let (found, taken) = (take_list(record)?, take_list(record)?);
    let stage = match (code, record.u64()?, record.u64()?) {
        (4, 0, 0) => Stage::Find,
        (5, list @ 1.., until) => Stage::Take { list, until },
        (6, list @ 1.., 0) => Stage::Drop { list },
        _ => return Err(DecodeError::Field("reclaim job's phase")),
    };
    Ok(Sift { found, taken, stage })
}

pub(in crate::catalog) fn decode_job(record: &[u8]) -> Result<Job, DecodeError> {
    let mut record = Decoder::new(record);
    let tells_of_sifting = check_version_sifted("reclaim job", record.u8()?)?;
    let (kind, id) = (record.u8()?, record.u64()?);
    let holder = match kind {
        1 => Holder::Head(DatasetId(id)),
        2 => Holder::Snapshot(SnapshotId(id)),
        _ => return Err(DecodeError::Field("reclaim job's kind")),
    };
    let phase = match (record.u8()?, tells_of_sifting) {
        (1, false) => Phase::Walk(Key::decode(record.array()?)),
        (2, false) => Phase::Forget,
        (3, false) => Phase::Merge,
        (code, true) => Phase::Sift(take_sift(code, &mut record)?),
        _ => return Err(DecodeError::Field("reclaim job's phase")),
    };
    if record.rest().is_empty() { Ok(Job { holder, phase }) } else { Err(DecodeError::Field("reclaim job")) }
}

pub(in crate::catalog) fn encode_counters(next_id: u64, next_list: u64) -> Vec<u8> {
    let mut record = Encoder::with_capacity(17);
    record.u8(VERSION).u64(next_id).u64(next_list);
    record.bytes
}

/// The next id of a dataset or snapshot, and that of a dead list.
pub(in crate::catalog) fn decode_counters(record: &[u8]) -> Result<(u64, u64), DecodeError> {
    let mut record = Decoder::new(record);
    check_version("catalog's counters", record.u8()?)?;
    let (next_id, next_list) = (record.u64()?, record.u64()?);
    let sound = (1..ID_LIMIT).contains(&next_id) && (1..ID_LIMIT).contains(&next_list) && record.rest().is_empty();
    if sound { Ok((next_id, next_list)) } else { Err(DecodeError::Field("catalog's counters")) }
}

/// No bytes where there are no texts.
pub(in crate::catalog) fn encode_texts<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<u8> {
    let mut record = Encoder::default();
    for text in texts {
        if record.bytes.is_empty() {
            record.u8(VERSION);
        }
        record.counted(text.as_bytes());
    }
    record.bytes
}

pub(in crate::catalog) fn decode_texts(record: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut record = Decoder::new(record);
    check_version("texts", record.u8()?)?;
    let mut texts = Vec::new();
    while !record.rest().is_empty() {
        texts.push(take_text(record.counted()?)?);
    }
    if texts.is_empty() { Err(DecodeError::Truncated) } else { Ok(texts) }
}

fn put_edge(record: &mut Encoder, edge: &Edge) {
    let State { root, referenced, inodes, next_inode } = edge.state;
    record.u64(edge.parent.map_or(0, |id| id.0));
    put_list(record, edge.list);
    record.raw(&root.encode()).u64(referenced).u64(inodes).u64(next_inode);
}

fn take_edge(record: &mut Decoder<'_>) -> Result<Edge, DecodeError> {
    let parent = take_id(record)?.map(SnapshotId);
    let list = take_list(record)?;
    let root = Root::decode(record)?;
    let state = State { root, referenced: record.u64()?, inodes: record.u64()?, next_inode: record.u64()? };
    Ok(Edge { parent, list, state })
}

fn put_list(record: &mut Encoder, list: List) {
    record.u64(list.id).u64(list.first).u64(list.end);
}

fn take_list(record: &mut Decoder<'_>) -> Result<List, DecodeError> {
    let list = List { id: record.u64()?, first: record.u64()?, end: record.u64()? };
    match list.id == 0 || list.first > list.end || list.end >= ID_LIMIT {
        true => Err(DecodeError::Field("dead list")),
        false => Ok(list),
    }
}

fn put_properties(record: &mut Encoder, properties: &Properties) {
    let Properties { block_size, extent_size, compression, sync, dedup, quota, readonly, user: _ } = properties;
    let (method, level) = match compression {
        Compression::Off => (0, 0),
        Compression::Zstd(level) => (1, *level),
    };
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    record.u32(*block_size).u32(*extent_size).u8(method).u8(level as u8).u8(u8::from(*sync == SyncMode::Disabled));
    record.u8(flag(*dedup, DEDUP) | flag(*readonly, READONLY) | flag(quota.is_some(), QUOTA));
    record.u64(quota.unwrap_or(0));
}

fn take_properties(record: &mut Decoder<'_>) -> Result<Properties, DecodeError> {
    let (block_size, extent_size) = (record.u32()?, record.u32()?);
    let compression = match (record.u8()?, record.u8()? as i8) {
        (0, 0) => Compression::Off,
        (1, level) => Compression::Zstd(level),
        _ => return Err(DecodeError::Field("compression")),
    };
    let sync = if take_flag(record)? { SyncMode::Disabled } else { SyncMode::Standard };
    let (flags, quota) = (record.u8()?, record.u64()?);
    if flags > DEDUP | READONLY | QUOTA || flags & QUOTA == 0 && quota != 0 {
        return Err(DecodeError::Field("properties' flags"));
    }
    let properties = Properties {
        block_size,
        extent_size,
        compression,
        sync,
        dedup: flags & DEDUP != 0,
        quota: (flags & QUOTA != 0).then_some(quota),
        readonly: flags & READONLY != 0,
        user: BTreeMap::new(),
    };
    properties::check(&properties).map_err(|_| DecodeError::Field("properties"))?;
    Ok(properties)
}

fn put_fate(record: &mut Encoder, fate: Fate) {
    let (code, since) = match fate {
        Fate::Live => (0, Timestamp::default()),
        Fate::Destroyed(since) => (1, since),
        Fate::Purged => (2, Timestamp::default()),
    };
    put_time(record.u8(code), since);
}

fn take_fate(record: &mut Decoder<'_>) -> Result<Fate, DecodeError> {
    let (code, since) = (record.u8()?, take_time(record)?);
    match code {
        0 if since == Timestamp::default() => Ok(Fate::Live),
        1 => Ok(Fate::Destroyed(since)),
        2 if since == Timestamp::default() => Ok(Fate::Purged),
        _ => Err(DecodeError::Field("fate")),
    }
}

fn put_time(record: &mut Encoder, time: Timestamp) {
    record.i64(time.seconds).u32(time.nanoseconds);
}

fn take_time(record: &mut Decoder<'_>) -> Result<Timestamp, DecodeError> {
    let time = Timestamp { seconds: record.i64()?, nanoseconds: record.u32()? };
    if time.nanoseconds < 1_000_000_000 { Ok(time) } else { Err(DecodeError::Field("time")) }
}

/// An id, or 0 for none.
fn take_id(record: &mut Decoder<'_>) -> Result<Option<u64>, DecodeError> {
    let id = record.u64()?;
    Ok((id != 0).then_some(id))
}

fn take_flag(record: &mut Decoder<'_>) -> Result<bool, DecodeError> {
    match record.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Field("flag")),
    }
}

fn take_text(bytes: &[u8]) -> Result<String, DecodeError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Field("text"))
}

// The longest record fits an item of a tree: a dataset with a name that cannot be longer.
const _: () = assert!(1 + 13 + 12 + 8 + (2 + NAME_MAX) + 20 + 1 + (32 + Root::LENGTH + 24) <= crate::tree::VALUE_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Checksum, SegmentId, SlotId, example};
    use crate::tree::NodePointer;

    fn edge() -> Edge {
        let pointer = NodePointer { id: SlotId::new(SegmentId(5), 3), hash: Checksum([0x11; 32]), birth: Birth(40) };
        let state =
            State { root: Root { pointer: Some(pointer), height: 2 }, referenced: 81920, inodes: 7, next_inode: 9 };
        Edge { parent: Some(SnapshotId(4)), list: List { id: 6, first: 1, end: 3 }, state }
    }

    fn dataset() -> Dataset {
        let properties = Properties { quota: Some(1 << 30), ..Properties::default() };
        let (created, folder) = (Timestamp { seconds: 1000, nanoseconds: 5 }, Some(DatasetId(1)));
        Dataset { fate: Fate::Live, created, folder, name: "data".to_owned(), properties, head: Some(edge()) }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            fate: Fate::Destroyed(Timestamp { seconds: 3000, nanoseconds: 0 }),
            created: Timestamp { seconds: 2000, nanoseconds: 0 },
            dataset: DatasetId(2),
            name: "monday".to_owned(),
            birth: Birth(41),
            automatic: false,
            holds: Default::default(),
            edge: edge(),
            sifted: Sifted::default(),
        }
    }

    fn sifted_snapshot() -> Snapshot {
        Snapshot { fate: Fate::Purged, sifted: Sifted { is_hollow: true, ends: 12 }, ..snapshot() }
    }

    fn sift_job() -> Job {
        let (found, taken) = (List { id: 8, first: 0, end: 4 }, List { id: 9, first: 0, end: 1 });
        let sift = Sift { found, taken, stage: Stage::Take { list: 6, until: 3 } };
        Job { holder: Holder::Snapshot(SnapshotId(5)), phase: Phase::Sift(sift) }
    }

    fn job() -> Job {
        Job { holder: Holder::Snapshot(SnapshotId(5)), phase: Phase::Walk(Key::new(9, 3, 64)) }
    }

    /// What all decoders make of these bytes, encoded again.
    fn decode_and_encode(heading: &str, record: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(match heading {
            "Dataset record" => encode_dataset(&decode_dataset(record)?),
            "Snapshot record" | "Sifted snapshot record" => encode_snapshot(&decode_snapshot(record)?),
            "Reclaim job" | "Reclaim job of a sifting" => encode_job(&decode_job(record)?),
            "Catalog texts" => encode_texts(decode_texts(record)?.iter()),
            _ => {
                let (next_id, next_list) = decode_counters(record)?;
                encode_counters(next_id, next_list)
            }
        })
    }

    fn examples() -> [(&'static str, Vec<u8>); 7] {
        let texts = ["team:owner".to_owned(), "web".to_owned()];
        [
            ("Dataset record", encode_dataset(&dataset())),
            ("Snapshot record", encode_snapshot(&snapshot())),
            ("Catalog texts", encode_texts(texts.iter())),
            ("Sifted snapshot record", encode_snapshot(&sifted_snapshot())),
            ("Reclaim job", encode_job(&job())),
            ("Reclaim job of a sifting", encode_job(&sift_job())),
            ("Catalog counters", encode_counters(8, 7)),
        ]
    }

    #[test]
    fn documented_records_decode_and_encode_back() {
        for (heading, bytes) in examples() {
            assert_eq!(bytes, example::documented(heading, bytes.len()), "{heading}\n{}", example::render(&bytes));
            assert_eq!(decode_and_encode(heading, &bytes).unwrap(), bytes);
        }
        assert_eq!(decode_dataset(&encode_dataset(&dataset())).unwrap(), dataset());
        assert_eq!(decode_snapshot(&encode_snapshot(&snapshot())).unwrap(), snapshot());
        assert_eq!(decode_snapshot(&encode_snapshot(&sifted_snapshot())).unwrap(), sifted_snapshot());
        assert_eq!(decode_job(&encode_job(&job())).unwrap(), job());
        assert_eq!(decode_job(&encode_job(&sift_job())).unwrap(), sift_job());
    }

    #[test]
    fn records_cut_short_or_too_long_or_too_new_do_not_decode() {
        for (heading, bytes) in examples() {
            let mut longer = bytes.clone();
            longer.push(1);
            assert!(decode_and_encode(heading, &longer).is_err(), "{heading}");
            let mut newer = bytes.clone();
            newer[0] = 3;
            assert!(matches!(decode_and_encode(heading, &newer), Err(DecodeError::Version { found: 3, .. })));
            for length in 0..bytes.len() {
                let cut = decode_and_encode(heading, &bytes[..length]);
                // A text may end after any text.
                assert!(cut.is_err() || heading == "Catalog texts" && cut.as_deref() == Ok(&bytes[..length]));
            }
        }
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes() {
        for (heading, bytes) in examples() {
            for at in 0..bytes.len() {
                for value in 0..=255 {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    if let Ok(encoded) = decode_and_encode(heading, &changed) {
                        assert!(encoded == changed || heading == "Catalog texts", "{heading} {at} {value}");
                    }
                }
            }
        }
    }
}
