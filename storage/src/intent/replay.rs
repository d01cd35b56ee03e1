//! Reads the log from a position to its end, and tells a torn end from corruption.
//!
//! Invariant: a group counts only at its own offset, with the next number, chained to the group
//! before. The first that does not is the end, unless a later group knows that it had been durable.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Checksum, DecodeError, PoolId};
use crate::intent::LogPosition;
use crate::intent::codec::GroupHeader;
use crate::intent::ring::{PAGE_LEN, Ring};
use crate::media::{Buffer, BufferPool};

/// Bytes read ahead at once.
const WINDOW_LEN_MAX: u64 = 4 << 20;

/// How far past a bad group a witness of its durability is looked for, in bytes. More than waits in
/// memory for one flush, so the next group that was flushed later begins within it.
const SEARCH_LEN_MAX: u64 = 64 << 20;

pub(super) struct Replayed {
    pub records: Vec<Vec<u8>>,
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

pub(super) fn replay(ring: &Ring, pool: PoolId, from: LogPosition, group_len_max: u64) -> Result<Replayed> {
    // After a killed process a group may be readable without being durable, and others build on it.
    ring.flush()?;
    let buffer = BufferPool::new(0).take(WINDOW_LEN_MAX.min(ring.size()) as usize);
    let limit = from.offset + ring.size();
    let mut window = Window { ring, pool, group_len_max, limit, buffer, start: from.offset, len: 0 };
    let mut replayed = Replayed { records: Vec::new(), end: from };
    while let Some((header, hash)) = window.group(replayed.end.offset)? {
        let end = &mut replayed.end;
        if header.sequence != end.sequence || header.previous != end.previous {
            break;
        }
        let group = window.bytes(end.offset, u64::from(header.len))?;
        replayed.records.append(&mut header.records(group)?);
        end.offset += u64::from(header.len).next_multiple_of(PAGE_LEN);
        end.sequence += 1;
        end.previous = hash;
    }
    window.clear_after(replayed.end)?;
    Ok(replayed)
}

impl Window<'_> {
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

    /// `Corrupt` if a group after `end` was written when the one at `end` was known to be durable. All
    /// other groups there were never promised, and are wiped: were the next group the same as the one
    /// that was lost before them, they would seem to follow it.
    fn clear_after(&mut self, end: LogPosition) -> Result<()> {
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
        if abandoned.is_empty() {
            return Ok(());
        }
        let zeros = [0; PAGE_LEN as usize];
        abandoned.iter().try_for_each(|offset| self.ring.write(&zeros, *offset))?;
        self.ring.flush()
    }
}
