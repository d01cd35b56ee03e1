//! The layout of a group and of a position. See `FORMAT.md`, "Intent group" and "Log position".

use crate::format::{Checksum, DecodeError, Decoder, Encoder, PoolId};
use crate::intent::ring::PAGE_LEN;

const MAGIC: [u8; 8] = *b"cowGROUP";
const VERSION: u16 = 1;
const OFFSET_AT: usize = 32;
pub(super) const HASH_AT: usize = 96;

/// Bytes before a group's first record.
pub(super) const HEADER_LEN: usize = HASH_AT + 32;

/// Bytes before each record that tell its length.
pub(super) const LENGTH_LEN: usize = 4;

const _: () = assert!(OFFSET_AT == 8 + 2 + 2 + 4 + 16 && HASH_AT == OFFSET_AT + 8 + 8 + 8 + 4 + 4 + 32);

/// A place in the log between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Bytes written before it since the log was created, a multiple of 4 KiB.
    pub(super) offset: u64,
    /// The number of the group that begins here.
    pub(super) sequence: u64,
    /// The hash of the group before.
    pub(super) previous: Checksum,
}

impl LogPosition {
    /// Where a new log begins.
    pub const START: Self = Self { offset: 0, sequence: 1, previous: Checksum([0; 32]) };

    /// Bytes that it takes.
    pub const LEN: usize = 8 + 8 + 32;

    /// The number of the group that begins here: records of groups before it came earlier.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Appends the position.
    pub fn encode(&self, into: &mut Encoder) {
        into.u64(self.offset).u64(self.sequence).raw(&self.previous.0);
    }

    /// Takes a position.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (offset, sequence) = (from.u64()?, from.u64()?);
        // Half the range is more than can ever be written, and keeps sums from overflowing.
        if !offset.is_multiple_of(PAGE_LEN) || offset > u64::MAX / 2 {
            return Err(DecodeError::Field("log offset"));
        }
        if sequence == 0 || sequence > u64::MAX / 2 {
            return Err(DecodeError::Field("log sequence"));
        }
        Ok(Self { offset, sequence, previous: Checksum(from.array()?) })
    }
}

/// What a group says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// Bytes from the header's first to the last record's last.
    pub len: u32,
    pub records: u32,
    pub pool: PoolId,
    pub offset: u64,
    pub sequence: u64,
    /// The last group that was known to be durable when this one was sealed.
    pub durable: u64,
    /// The hash of the group before.
    pub previous: Checksum,
}

impl GroupHeader {
    /// Writes the header over the front of `group`, and returns the group's hash.
    pub fn seal(&self, group: &mut [u8]) -> Checksum {
        assert!(group.len() == self.len as usize, "a group is as long as its header says");
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            group[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&[0; 2]);
        put(&self.len.to_le_bytes());
        put(&self.pool.0);
        put(&self.offset.to_le_bytes());
        put(&self.sequence.to_le_bytes());
        put(&self.durable.to_le_bytes());
        put(&self.records.to_le_bytes());
        put(&[0; 4]);
        put(&self.previous.0);
        let hash = hash(group);
        group[HASH_AT..HEADER_LEN].copy_from_slice(&hash.0);
        hash
    }

    /// The length that the first page of a group tells, if this may be one: nothing is proven yet.
    pub fn peek_len(page: &[u8]) -> Option<usize> {
        let mut fields = Decoder::new(page);
        let magic: [u8; 8] = fields.array().ok()?;
        fields.u32().ok()?;
        let len = fields.u32().ok()? as usize;
        (magic == MAGIC && len >= HEADER_LEN).then_some(len)
    }

    /// The log offset that the first page of a group tells, if this may be one: nothing is proven yet.
    pub fn peek_offset(page: &[u8]) -> Option<u64> {
        Self::peek_len(page)?;
        Decoder::new(page.get(OFFSET_AT..)?).u64().ok()
    }

    /// Reads a group of exactly the length that it tells: its header and its hash. A version is believed
    /// only where the hash holds: magic, version, length and hash have their places in all versions.
    pub fn decode(group: &[u8]) -> Result<(Self, Checksum), DecodeError> {
        let mut fields = Decoder::new(group);
        if fields.array()? != MAGIC {
            return Err(DecodeError::Magic("an intent group"));
        }
        let found = Checksum(Decoder::new(group.get(HASH_AT..).ok_or(DecodeError::Truncated)?).array()?);
        if hash(group) != found {
            return Err(DecodeError::Checksum("an intent group"));
        }
        match fields.u16()? {
            VERSION => {}
            found => return Err(DecodeError::Version { structure: "an intent group", found, known: VERSION }),
        }
        let (reserved, len) = (fields.u16()?, fields.u32()?);
        let (pool, offset) = (PoolId(fields.array()?), fields.u64()?);
        let (sequence, durable, records) = (fields.u64()?, fields.u64()?, fields.u32()?);
        if reserved != 0 || fields.u32()? != 0 || len as usize != group.len() || durable >= sequence {
            return Err(DecodeError::Field("intent group header"));
        }
        let previous = Checksum(fields.array()?);
        Ok((Self { len, records, pool, offset, sequence, durable, previous }, found))
    }

    /// Takes the records of a group whose header this is.
    pub fn records(&self, group: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut rest = Decoder::new(group.get(HEADER_LEN..).ok_or(DecodeError::Truncated)?);
        let mut records = Vec::new();
        for _ in 0..self.records {
            let len = rest.u32()? as usize;
            records.push(rest.raw(len)?.to_vec());
        }
        if rest.rest().is_empty() { Ok(records) } else { Err(DecodeError::Field("intent record count")) }
    }
}

/// The hash of all bytes of a group but the hash itself.
fn hash(group: &[u8]) -> Checksum {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&group[..HASH_AT]).update(&group[HEADER_LEN..]);
    Checksum(*hasher.finalize().as_bytes())
}
