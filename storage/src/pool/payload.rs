//! What a superblock says of a pool.

use crate::account::AccountState;
use crate::error::{Error, Result};
use crate::format::{DecodeError, Decoder, Encoder, PoolId, Timestamp};
use crate::intent::LogPosition;
use crate::pool::cuts::Cuts;
use crate::superblock::{self, COPY_PAYLOAD_LEN_MAX, Superblock};
use crate::tree::Root;

const VERSION: u16 = 1;

const ROOTS_LEN_MAX: usize = Root::LENGTH + LogPosition::LEN + AccountState::ENCODED_LEN_MAX;
const PAYLOAD_LEN_MAX: usize = 2 + 32 + 4 + 4 + 12 + ROOTS_LEN_MAX + Cuts::ENCODED_LEN_MAX;

const _: () = assert!(PAYLOAD_LEN_MAX <= COPY_PAYLOAD_LEN_MAX && PAYLOAD_LEN_MAX <= superblock::PAYLOAD_LEN_MAX);

/// All that opening needs: how the pool was made, and the roots of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Keys directory hashes, file handles and the intent log.
    pub secret: [u8; 32],
    /// Bytes in a segment file.
    pub segment_len: u32,
    /// Segments kept back for commits, destroys and cleaning.
    pub reserve_count: u32,
    /// When the commit was asked for.
    pub committed: Timestamp,
    /// The system tree: the catalog and its dead lists.
    pub system: Root,
    /// Records from here on were promised after this commit, but for those that `cuts` tells.
    pub log: LogPosition,
    /// Slots, counts and segments.
    pub account: AccountState,
    /// Datasets of which it has more than what came before `log`.
    pub cuts: Cuts,
}

impl Payload {
    /// The payload's bytes. FORMAT.md has the table.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(PAYLOAD_LEN_MAX);
        out.u16(VERSION).raw(&self.secret).u32(self.segment_len).u32(self.reserve_count);
        out.i64(self.committed.seconds).u32(self.committed.nanoseconds).raw(&self.system.encode());
        self.log.encode(&mut out);
        self.account.encode(&mut out);
        self.cuts.encode(&mut out);
        out.bytes
    }

    /// Most bytes of a payload with these cuts, whatever else is in it.
    pub fn len_max(cuts: &Cuts) -> usize {
        PAYLOAD_LEN_MAX - Cuts::ENCODED_LEN_MAX + cuts.encoded_len()
    }

    /// The superblock with this payload.
    pub fn superblock(&self, pool: PoolId) -> Superblock {
        Superblock { pool, commit: self.account.birth().0, payload: self.encode() }
    }

    /// Reads back what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::take(&mut Decoder::new(bytes))
            .map_err(|cause| Error::because(cause.kind(), "the superblock's payload cannot be read", cause))
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let version = from.u16()?;
        if version != VERSION {
            return Err(DecodeError::Version { structure: "a pool", found: version, known: VERSION });
        }
        let (secret, segment_len, reserve_count) = (from.array()?, from.u32()?, from.u32()?);
        if !segment_len.is_multiple_of(1 << 20) || !(1 << 20..=64 << 20).contains(&segment_len) {
            return Err(DecodeError::Field("segment length"));
        }
        let committed = Timestamp { seconds: from.i64()?, nanoseconds: from.u32()? };
        if committed.nanoseconds >= 1_000_000_000 {
            return Err(DecodeError::Field("nanoseconds"));
        }
        let (system, log) = (Root::decode(from)?, LogPosition::decode(from)?);
        let (account, cuts) = (AccountState::decode(from)?, Cuts::decode(from)?);
        if !from.rest().is_empty() {
            return Err(DecodeError::Field("payload length"));
        }
        Ok(Self { secret, segment_len, reserve_count, committed, system, log, account, cuts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::format::{Birth, Checksum, DatasetId, SlotId, example};
    use crate::tree::NodePointer;

    /// Of an account without anything.
    const ACCOUNT: &[u8] = &[1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    fn example() -> Payload {
        let pointer = NodePointer { id: SlotId(0x0100_0002), hash: Checksum([0xaa; 32]), birth: Birth(2) };
        Payload {
            secret: *b"a secret has thirty-two bytes...",
            segment_len: 64 << 20,
            reserve_count: 4,
            committed: Timestamp { seconds: 1_700_000_000, nanoseconds: 5 },
            system: Root { pointer: Some(pointer), height: 1 },
            log: LogPosition::START,
            account: AccountState::decode(&mut Decoder::new(ACCOUNT)).expect("an empty account decodes"),
            cuts: Cuts::from_iter([(DatasetId(3), 9)]),
        }
    }

    #[test]
    fn the_documented_example_is_what_is_stored() {
        let bytes = example().encode();
        assert_eq!(bytes, example::documented("Pool payload", bytes.len()), "\n{}", example::render(&bytes));
        assert_eq!(Payload::decode(&bytes).unwrap(), example());
    }

    #[test]
    fn what_is_cut_or_newer_is_refused() {
        let bytes = example().encode();
        for length in 0..bytes.len() {
            assert_eq!(Payload::decode(&bytes[..length]).unwrap_err().kind(), ErrorKind::Corrupt, "{length} bytes");
        }
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(Payload::decode(&newer).unwrap_err().kind(), ErrorKind::UnknownVersion);
    }
}
