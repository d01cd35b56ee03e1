//! What the superblock says of the account.

use crate::account::link::Link;
use crate::account::radix::Root;
use crate::format::{Birth, DecodeError, Decoder, Encoder, SlotId};
use crate::segment::SegmentsState;

const VERSION: u16 = 1;

/// Everything that opening needs. Opaque to others: a few hundred bytes in the superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    pub(in crate::account) birth: Birth,
    pub(in crate::account) slots: Root,
    pub(in crate::account) usage: Root,
    pub(in crate::account) log: Option<Link>,
    pub(in crate::account) segments: SegmentsState,
}

impl AccountState {
    /// Most bytes of an encoded state.
    pub const ENCODED_LEN_MAX: usize = 256;

    /// All ids of extents and nodes that were given out by then are smaller.
    pub fn ids_end(&self) -> SlotId {
        SlotId::new(self.segments.next, 0)
    }

    /// The commit whose state this is.
    pub fn birth(&self) -> Birth {
        self.birth
    }

    /// Appends version (u16), birth (u48), the roots of slots and usage (height u8, and a link if not 0), the
    /// free log's list (present u8, and a link if so), and the segments.
    pub fn encode(&self, out: &mut Encoder) {
        out.u16(VERSION).u48(self.birth.0);
        self.slots.encode(out);
        self.usage.encode(out);
        out.u8(u8::from(self.log.is_some()));
        if let Some(link) = &self.log {
            link.encode(out);
        }
        self.segments.encode(out);
    }

    /// Takes what `encode` wrote.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let version = from.u16()?;
        if version != VERSION {
            return Err(DecodeError::Version { structure: "the account's state", found: version, known: VERSION });
        }
        let birth = Birth(from.u48()?);
        let (slots, usage) = (Root::decode(from)?, Root::decode(from)?);
        let log = match from.u8()? {
            0 => None,
            1 => Some(Link::decode(from)?),
            _ => return Err(DecodeError::Field("free log")),
        };
        Ok(Self { birth, slots, usage, log, segments: SegmentsState::decode(from)? })
    }
}
