//! How much of each segment lives.
//!
//! Invariant: a record's live bytes are those of the slots that live in the segment, and of the
//! current pages there. Only segments with live bytes are stored.

mod codec;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, SegmentId};
use crate::segment::{Finished, Place, Stream};

pub use codec::PAGE_LEN;

/// Records in a page of the usage table.
pub const PAGE_RECORDS: u64 = 128;

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub stream: Stream,
    /// Bytes that something refers to.
    pub live: u32,
    /// Bytes appended, once it is finished; until then 0.
    pub sealed: u32,
    /// The newest commit that wrote something first here.
    pub newest: Birth,
    /// Bytes given back to the host, at least: what of them is known after an opening is rounded down.
    pub punched: u32,
    /// The newest commit since the opening that counted something here as dead, or found it finished.
    pub changed: Birth,
}

/// A finished segment and how full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUsage {
    /// Which one.
    pub segment: SegmentId,
    /// What it holds.
    pub stream: Stream,
    /// Bytes that something refers to, pending frees included.
    pub live: u32,
    /// Bytes appended to it.
    pub sealed: u32,
    /// The newest commit that wrote something first here.
    pub newest: Birth,
    /// Bytes given back to the host, at least.
    pub punched: u32,
}

impl SegmentUsage {
    /// Whether at most `percent` of it lives.
    pub fn is_sparse(&self, percent: u32) -> bool {
        u64::from(self.live) * 100 <= u64::from(self.sealed) * u64::from(percent)
    }
}

/// The usage table, all of it in memory: 56 bytes a segment.
#[derive(Debug, Default)]
pub struct Usage {
    records: BTreeMap<SegmentId, Record>,
    /// Pages whose records differ from what is stored.
    changed: BTreeSet<u64>,
    /// Segments whose live bytes fell to zero, or never were more.
    emptied: BTreeSet<SegmentId>,
    live_total: u64,
    punched_total: u64,
}

impl Record {
    fn new(stream: Stream, newest: Birth) -> Self {
        Self { stream, live: 0, sealed: 0, newest, punched: 0, changed: Birth(0) }
    }

    /// Bytes that nothing refers to and the host may still have.
    pub fn dead(&self) -> u32 {
        self.sealed.saturating_sub(self.live).saturating_sub(self.punched)
    }
}

impl Usage {
    /// Counts the bytes at `place` as live; they were first written by commit `birth`.
    pub fn add(&mut self, stream: Stream, place: Place, birth: Birth) {
        let record = self.records.entry(place.segment).or_insert(Record::new(stream, birth));
        record.live += place.length;
        record.newest = record.newest.max(birth);
        self.live_total += u64::from(place.length);
        self.changed.insert(place.segment.0 / PAGE_RECORDS);
    }

    /// Counts the bytes at `place` as dead, which commit `birth` found so.
    pub fn subtract(&mut self, place: Place, birth: Birth) -> Result<()> {
        let record = self.records.get_mut(&place.segment);
        let Some(record) = record.filter(|record| record.live >= place.length) else {
            let what = format!("count {} dead bytes in segment {:010x}", place.length, place.segment.0);
            return Err(Error::new(ErrorKind::Corrupt, what));
        };
        record.live -= place.length;
        record.changed = record.changed.max(birth);
        if record.live == 0 {
            self.emptied.insert(place.segment);
        }
        self.live_total -= u64::from(place.length);
        self.changed.insert(place.segment.0 / PAGE_RECORDS);
        Ok(())
    }

    /// Notes that a segment is not appended to any more, as commit `birth` found.
    pub fn finish(&mut self, stream: Stream, finished: Finished, birth: Birth) {
        let record = self.records.entry(finished.segment).or_insert(Record::new(stream, Birth(0)));
        record.sealed = finished.length;
        record.changed = record.changed.max(birth);
        if record.live == 0 {
            self.emptied.insert(finished.segment);
        } else {
            self.changed.insert(finished.segment.0 / PAGE_RECORDS);
        }
    }

    /// Forgets the empty segments that `keep` does not want, and returns them.
    pub fn take_emptied(&mut self, keep: impl Fn(SegmentId) -> bool) -> Vec<SegmentId> {
        let records = &mut self.records;
        self.emptied.retain(|segment| records.get(segment).is_some_and(|record| record.live == 0));
        let gone: Vec<_> = self.emptied.iter().copied().filter(|segment| !keep(*segment)).collect();
        for segment in &gone {
            self.emptied.remove(segment);
            self.punched_total -= records.remove(segment).map_or(0, |record| u64::from(record.punched));
        }
        gone
    }

    /// Takes one of the pages that must be stored anew.
    pub fn take_changed(&mut self) -> Option<u64> {
        self.changed.pop_first()
    }

    /// Has the page stored anew that segment's record is in.
    pub fn touch(&mut self, page: u64) {
        self.changed.insert(page);
    }

    /// The stored records of a page.
    pub fn page(&self, page: u64) -> impl Iterator<Item = (SegmentId, &Record)> {
        let segments = SegmentId(page * PAGE_RECORDS)..SegmentId((page + 1) * PAGE_RECORDS);
        self.records.range(segments).map(|(segment, record)| (*segment, record)).filter(|(_, record)| record.live > 0)
    }

    /// Takes in a record that was read.
    pub fn load(&mut self, segment: SegmentId, record: Record) {
        self.live_total += u64::from(record.live);
        self.punched_total += u64::from(record.punched);
        self.records.insert(segment, record);
    }

    /// A segment's record.
    pub fn get(&self, segment: SegmentId) -> Option<&Record> {
        self.records.get(&segment)
    }

    /// The live bytes of each segment that has any.
    pub fn live(&self) -> impl Iterator<Item = (SegmentId, u64)> {
        let live = self.records.iter().filter(|(_, record)| record.live > 0);
        live.map(|(segment, record)| (*segment, u64::from(record.live)))
    }

    /// Notes how many bytes of a segment are given back to the host, and returns how many more that are.
    pub fn set_punched(&mut self, segment: SegmentId, punched: u32) -> u32 {
        let Some(record) = self.records.get_mut(&segment).filter(|record| record.punched < punched) else { return 0 };
        let more = punched - record.punched;
        record.punched = punched;
        self.punched_total += u64::from(more);
        self.changed.insert(segment.0 / PAGE_RECORDS);
        more
    }

    /// All bytes given back.
    pub fn punched_total(&self) -> u64 {
        self.punched_total
    }

    /// All live bytes.
    pub fn live_total(&self) -> u64 {
        self.live_total
    }

    /// The finished segments that live.
    pub fn finished(&self) -> impl Iterator<Item = SegmentUsage> {
        let finished = self.records.iter().filter(|(_, record)| record.sealed > 0 && record.live > 0);
        finished.map(|(segment, record)| {
            let Record { stream, live, sealed, newest, punched, .. } = *record;
            SegmentUsage { segment: *segment, stream, live, sealed, newest, punched }
        })
    }
}
