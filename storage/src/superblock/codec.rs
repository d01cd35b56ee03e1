//! The layout of a superblock slot. See `FORMAT.md`, "Superblock slot".

use crate::format::{Checksum, DecodeError, Decoder, Encoder, PoolId};
use crate::superblock::{PAYLOAD_LEN_MAX, SLOT_LEN, Superblock};

const MAGIC: [u8; 8] = *b"cowSUPER";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 8 + 2 + 2 + 4 + 16 + 8;
const CHECKSUM_AT: usize = SLOT_LEN - 32;

const _: () = assert!(HEADER_LEN + PAYLOAD_LEN_MAX <= CHECKSUM_AT);

impl Superblock {
    /// The bytes of a slot.
    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(self.payload.len() <= PAYLOAD_LEN_MAX, "the pool keeps its roots within a superblock");
        let mut slot = Encoder::with_capacity(SLOT_LEN);
        slot.raw(&MAGIC).u16(VERSION).u16(self.payload.len() as u16).u32(0);
        slot.raw(&self.pool.0).u64(self.commit).raw(&self.payload);
        slot.bytes.resize(CHECKSUM_AT, 0);
        let checksum = Checksum::of(&slot.bytes);
        slot.raw(&checksum.0);
        slot.bytes
    }

    /// Reads a slot. A version is believed only where the checksum holds: its place, and that of the
    /// magic and the version, are the same in all versions.
    pub(super) fn decode(slot: &[u8; SLOT_LEN]) -> Result<Self, DecodeError> {
        let (body, checksum) = slot.split_at(CHECKSUM_AT);
        let mut fields = Decoder::new(body);
        if fields.array()? != MAGIC {
            return Err(DecodeError::Magic("a superblock"));
        }
        if Checksum::of(body).0 != checksum {
            return Err(DecodeError::Checksum("a superblock"));
        }
        match fields.u16()? {
            VERSION => {}
            found => return Err(DecodeError::Version { structure: "a superblock", found, known: VERSION }),
        }
        let payload_len = usize::from(fields.u16()?);
        if fields.u32()? != 0 || payload_len > PAYLOAD_LEN_MAX {
            return Err(DecodeError::Field("payload length"));
        }
        let (pool, commit) = (PoolId(fields.array()?), fields.u64()?);
        let payload = fields.raw(payload_len)?.to_vec();
        if fields.rest().iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Field("padding"));
        }
        Ok(Self { pool, commit, payload })
    }
}
