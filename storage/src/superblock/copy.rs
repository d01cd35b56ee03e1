//! The layout of a superblock's copy among the nodes. See `FORMAT.md`, "Superblock copy".
//!
//! Invariant: a copy tells its own place, so neither bytes that were moved nor bytes that a user chose pass for one.

use crate::format::{Checksum, DecodeError, Decoder, Encoder, PoolId, SegmentId};
use crate::superblock::Superblock;

/// Bytes that a copy can have: it is the end of a 4 KiB block of a segment of nodes. The shorter, the more often it fits into
/// what was left of that.
pub const COPY_LENGTHS: [usize; 2] = [512, 1024];

/// Most bytes of a payload that a copy has room for.
pub const COPY_PAYLOAD_LEN_MAX: usize = COPY_LENGTHS[1] - HEADER_LEN - CHECKSUM_LEN;

const MAGIC: [u8; 8] = *b"cowROOTS";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 8 + 2 + 2 + 16 + 8 + 6 + 4;
const CHECKSUM_LEN: usize = 32;

impl Superblock {
    /// Bytes of a copy whose payload has at most so many.
    pub fn copy_len(payload_len_max: usize) -> usize {
        let fits = |length: &usize| HEADER_LEN + payload_len_max + CHECKSUM_LEN <= *length;
        COPY_LENGTHS.into_iter().find(fits).expect("the pool keeps its roots within a copy")
    }

    /// The bytes of the copy that lies from `offset` to `end` in `segment`.
    pub fn encode_copy(&self, segment: SegmentId, offset: u32, end: u32) -> Vec<u8> {
        let length = (end - offset) as usize;
        assert!(Self::copy_len(self.payload.len()) <= length, "the pool keeps its roots within a copy");
        let mut copy = Encoder::with_capacity(length);
        copy.raw(&MAGIC).u16(VERSION).u16(self.payload.len() as u16);
        copy.raw(&self.pool.0).u64(self.commit).u48(segment.0).u32(offset).raw(&self.payload);
        copy.bytes.resize(length - CHECKSUM_LEN, 0);
        let checksum = Checksum::of(&copy.bytes);
        copy.raw(&checksum.0);
        copy.bytes
    }

    /// Reads the copy at `offset` in `segment`. As with a slot, a version is believed only where the checksum holds.
    pub fn decode_copy(copy: &[u8], segment: SegmentId, offset: u32) -> Result<Self, DecodeError> {
        let (body, checksum) = copy.split_last_chunk::<CHECKSUM_LEN>().ok_or(DecodeError::Truncated)?;
        let mut fields = Decoder::new(body);
        if fields.array()? != MAGIC {
            return Err(DecodeError::Magic("a superblock's copy"));
        }
        if Checksum::of(body).0 != *checksum {
            return Err(DecodeError::Checksum("a superblock's copy"));
        }
        match fields.u16()? {
            VERSION => {}
            found => return Err(DecodeError::Version { structure: "a superblock's copy", found, known: VERSION }),
        }
        let payload_len = usize::from(fields.u16()?);
        let (pool, commit) = (PoolId(fields.array()?), fields.u64()?);
        if (fields.u48()?, fields.u32()?) != (segment.0, offset) {
            return Err(DecodeError::Field("place of a superblock's copy"));
        }
        let payload = fields.raw(payload_len)?.to_vec();
        if fields.rest().iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Field("padding"));
        }
        Ok(Self { pool, commit, payload })
    }
}
