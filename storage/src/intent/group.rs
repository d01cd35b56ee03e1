//! A group of records in memory, as it will lie in the ring.
//!
//! Invariant: a group fills its buffer from the front, and once sealed it never changes.

use crate::format::{Checksum, PoolId};
use crate::intent::codec::{GroupHeader, HEADER_LEN, LENGTH_LEN};
use crate::intent::ring::PAGE_LEN;
use crate::media::Buffer;

pub(super) struct Group {
    buffer: Buffer,
    len: usize,
    records: u32,
    offset: u64,
    sequence: u64,
}

impl Group {
    pub fn new(buffer: Buffer, offset: u64, sequence: u64) -> Self {
        Self { buffer, len: HEADER_LEN, records: 0, offset, sequence }
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    pub fn record_len_max(&self) -> usize {
        self.buffer.len() - HEADER_LEN - LENGTH_LEN
    }

    pub fn fits(&self, record: &[u8]) -> bool {
        record.len() + LENGTH_LEN <= self.buffer.len() - self.len
    }

    /// Bytes that it takes in the ring; none while it is empty.
    pub fn padded_len(&self) -> u64 {
        if self.is_empty() { 0 } else { (self.len as u64).next_multiple_of(PAGE_LEN) }
    }

    /// Where the next group begins.
    pub fn end(&self) -> u64 {
        self.offset + self.padded_len()
    }

    /// Where it would begin if this one had `record` as well.
    pub fn end_with(&self, record: &[u8]) -> u64 {
        self.offset + ((self.len + LENGTH_LEN + record.len()) as u64).next_multiple_of(PAGE_LEN)
    }

    pub fn push(&mut self, record: &[u8]) {
        let (length, rest) = self.buffer[self.len..].split_at_mut(LENGTH_LEN);
        length.copy_from_slice(&(record.len() as u32).to_le_bytes());
        rest[..record.len()].copy_from_slice(record);
        self.len += LENGTH_LEN + record.len();
        self.records += 1;
    }

    /// Writes the header; returns the hash that the next group carries.
    pub fn seal(&mut self, pool: PoolId, durable: u64, previous: Checksum) -> Checksum {
        let padded_len = self.padded_len() as usize;
        self.buffer[self.len..padded_len].fill(0);
        let (len, records) = (self.len as u32, self.records);
        let header =
            GroupHeader { len, records, pool, offset: self.offset, sequence: self.sequence, durable, previous };
        header.seal(&mut self.buffer[..self.len])
    }

    /// What goes into the ring, once it is sealed.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.padded_len() as usize]
    }
}
