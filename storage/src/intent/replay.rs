//! Reads the log from a position to its end, and tells a torn end from corruption.
//!
//! Invariant: a group counts only at its own offset, with the next number, chained to the group
//! before. The first that does not is the end, unless a later group knows that it had been durable.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Checksum, DecodeError, PoolId};
use crate::intent::codec::GroupHeader;
use crate::intent::ring::{PAGE_LEN, Ring};
use crate::intent::{LogPosition, Logged};
use crate::media::{Buffer, BufferPool};

/// Bytes read ahead at once.
const WINDOW_LEN_MAX: u64 = 4 << 20;

/// How far past a bad group a witness of its durability is looked for, in bytes. More than waits in
/// memory for one flush, so the next group that was flushed later begins within it.
const SEARCH_LEN_MAX: u64 = 64 << 20;

pub(super) struct Replayed {
    pub records: Vec<Logged>,
    pub end: LogPosition,
}

/// A stretch of the ring in memory.
struct Window<'a> {
    ring: &'a Ring,
    pool: PoolId,
    group_len_max: u64,
    /// The end of the lap that begins at the first position: nothing past it can be read.
    limit: u64,
    buffer: Buffer,
    start: u64,
    len: u64,
}

/// Reads what was promised after `from`, and takes away what was not.
pub(super) fn replay(ring: &Ring, pool: PoolId, from: LogPosition, group_len_max: u64) -> Result<Replayed> {
    // After a killed process a group may be readable without being durable, and others build on it.
    ring.flush()?;
    let mut window = Window::new(ring, pool, from, group_len_max);
    let replayed = window.read(from)?;
    let abandoned = window.abandoned(replayed.end)?;
    window.wipe(&abandoned)?;
    Ok(replayed)
}

/// Reads what was promised after `from` and changes nothing. `Corrupt` also if the ring was written over since: then
/// there was more, and that is gone.
pub(super) fn look(ring: &Ring, pool: PoolId, from: LogPosition, group_len_max: u64) -> Result<Replayed> {
    let mut window = Window::new(ring, pool, from, group_len_max);
    let replayed = window.read(from)?;
    window.abandoned(replayed.end)?;
    for place in (0..ring.size()).step_by(PAGE_LEN as usize) {
        if window.is_written_over(place)? {
            return Err(Error::new(ErrorKind::Corrupt, "the intent log has been written over since"));
        }
    }
    Ok(replayed)
}

impl<'a> Window<'a> {
    fn new(ring: &'a Ring, pool: PoolId, from: LogPosition, group_len_max: u64) -> Self {
        let buffer = BufferPool::new(0).take(WINDOW_LEN_MAX.min(ring.size()) as usize);
        Self { ring, pool, group_len_max, limit: from.offset + ring.size(), buffer, start: from.offset, len: 0 }
    }
}

impl Window<'_> {
    /// The records of the groups that follow each other from a position on.
    fn read(&mut self, from: LogPosition) -> Result<Replayed> {
        let mut replayed = Replayed { records: Vec::new(), end: from };
        while let Some((header, hash)) = self.group(replayed.end.offset)? {
            let end = &mut replayed.end;
            if header.sequence != end.sequence || header.previous != end.previous {
                break;
            }
            let group = self.bytes(end.offset, u64::from(header.len))?;
            let sequence = header.sequence;
            let records = header.records(group)?.into_iter().map(|bytes| Logged { sequence, bytes });
            replayed.records.extend(records);
            end.offset += u64::from(header.len).next_multiple_of(PAGE_LEN);
            end.sequence += 1;
            end.previous = hash;
        }
        Ok(replayed)
    }

    /// The bytes at `offset`, which must end before the limit and be no more than a group has.
    fn bytes(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        if offset < self.start || offset + len > self.start + self.len {
            self.start = offset;
            self.len = (self.buffer.len() as u64).min(self.limit - offset);
            self.ring.read(&mut self.buffer[..self.len as usize], offset)?;
        }
        let within = (offset - self.start) as usize;
        Ok(&self.buffer[within..within + len as usize])
    }

    /// The header and hash of the group at `offset`, if a whole one of this pool is there.
    fn group(&mut self, offset: u64) -> Result<Option<(GroupHeader, Checksum)>> {
        if offset + PAGE_LEN > self.limit {
            return Ok(None);
        }
        let Some(len) = GroupHeader::peek_len(self.bytes(offset, PAGE_LEN)?) else { return Ok(None) };
        let len = len as u64;
        if len > self.group_len_max || offset + len.next_multiple_of(PAGE_LEN) > self.limit {
            return Ok(None);
        }
        let pool = self.pool;
        match GroupHeader::decode(self.bytes(offset, len)?) {
            Ok((header, hash)) => Ok((header.pool == pool && header.offset == offset).then_some((header, hash))),
            Err(cause @ DecodeError::Version { .. }) => Err(cause.into()),
            Err(_) => Ok(None),
        }
    }

    /// Groups after `end`, none of which was promised. `Corrupt` if one was written when the one at `end` was known to be
    /// durable.
    fn abandoned(&mut self, end: LogPosition) -> Result<Vec<u64>> {
        let mut abandoned = Vec::new();
        let stop = self.limit.min(end.offset + SEARCH_LEN_MAX);
        for offset in (end.offset..stop).step_by(PAGE_LEN as usize) {
            let Some((header, _)) = self.group(offset)? else { continue };
            if header.durable >= end.sequence {
                let message = format!("group {} of the intent log was durable and is damaged", end.sequence);
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            abandoned.push(offset);
        }
        Ok(abandoned)
    }

    /// Wipes what was never promised: were the next group the same as the one that was lost before these, they would seem
    /// to follow it.
    fn wipe(&self, abandoned: &[u64]) -> Result<()> {
        if abandoned.is_empty() {
            return Ok(());
        }
        let zeros = [0; PAGE_LEN as usize];
        abandoned.iter().try_for_each(|offset| self.ring.write(&zeros, *offset))?;
        self.ring.flush()
    }

    /// Whether a group begins at this place of the file that could only be written once the first position had been
    /// released.
    fn is_written_over(&mut self, place: u64) -> Result<bool> {
        let limit = self.limit;
        let Some(offset) = GroupHeader::peek_offset(self.bytes(place, PAGE_LEN)?) else { return Ok(false) };
        if offset > u64::MAX / 2 || offset % self.ring.size() != place || offset + self.group_len_max <= limit {
            return Ok(false);
        }
        self.limit = offset + self.ring.size();
        let group = self.group(offset);
        self.limit = limit;
        Ok(group?.is_some_and(|(header, _)| offset + u64::from(header.len) > limit))
    }
}
