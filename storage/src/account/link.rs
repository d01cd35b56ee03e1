//! A verified reference to a page.

use crate::format::{Checksum, DecodeError, Decoder, Encoder};
use crate::segment::Place;

/// Where a page lies, and the hash that its bytes must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub place: Place,
    pub checksum: Checksum,
}

impl Link {
    /// Bytes of an encoded link.
    pub const ENCODED_LEN: usize = Place::ENCODED_LEN + 32;

    /// The link to `bytes` at `place`.
    pub fn to(place: Place, bytes: &[u8]) -> Self {
        Self { place, checksum: Checksum::of(bytes) }
    }

    /// Appends place and checksum.
    pub fn encode(&self, out: &mut Encoder) {
        self.place.encode(out);
        out.raw(&self.checksum.0);
    }

    /// Takes a link.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { place: Place::decode(from)?, checksum: Checksum(from.array()?) })
    }
}

/// Takes magic and version off the front of a page.
pub fn decode_front(
    from: &mut Decoder<'_>,
    structure: &'static str,
    magic: &[u8; 4],
    known: u16,
) -> Result<(), DecodeError> {
    if from.array::<4>()? != *magic {
        return Err(DecodeError::Magic(structure));
    }
    match from.u16()? {
        found if found == known => Ok(()),
        found => Err(DecodeError::Version { structure, found, known }),
    }
}
