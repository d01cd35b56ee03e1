//! From stored bytes to blocks.

use std::borrow::Cow;

use crate::extent::Compressor;
use crate::extent::codec::{Encoding, Header};
use crate::format::{BlockHash, Checksum, DecodeError, SlotId};

/// An extent whose header was found good. Its blocks are proven one by one.
#[derive(Debug)]
pub struct Extent<'a> {
    header: Header,
    plain: Cow<'a, [u8]>,
}

impl<'a> Extent<'a> {
    /// Opens stored bytes, which must be those of the extent `id`.
    pub fn open(bytes: &'a [u8], id: SlotId, with: &mut Compressor) -> Result<Self, DecodeError> {
        let header = Header::decode(bytes)?;
        if header.id != id {
            return Err(DecodeError::Field("id"));
        }
        if bytes.len() != header.extent_len() {
            return Err(DecodeError::Truncated);
        }
        let payload = &bytes[header.encoded_len()..];
        let plain = match header.encoding {
            Encoding::Raw if payload.len() == header.plain_len() => Cow::Borrowed(payload),
            Encoding::Raw => return Err(DecodeError::Field("payload length")),
            Encoding::Zstd => Cow::Owned(with.decompress(payload, header.plain_len())?),
        };
        Ok(Self { header, plain })
    }

    /// What the extent says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The block with this index, if its bytes are the ones that `expected` names.
    pub fn block(&self, index: usize, expected: &BlockHash) -> Result<&[u8], DecodeError> {
        let block = self.unproven(index)?;
        match BlockHash::of(block) == *expected {
            true => Ok(block),
            false => Err(DecodeError::Checksum("a block")),
        }
    }

    /// Checks every block that is present against all of its hash in the header. Returns a bit for each that is damaged.
    pub fn damaged(&self) -> u32 {
        let present = (0..self.header.hashes.len()).filter(|index| self.header.present >> index & 1 == 1);
        let is_damaged = |index: &usize| {
            self.unproven(*index).map_or(true, |block| Checksum::of(block) != self.header.hashes[*index])
        };
        present.filter(is_damaged).fold(0, |bits, index| bits | 1 << index)
    }

    fn unproven(&self, index: usize) -> Result<&[u8], DecodeError> {
        if index >= self.header.hashes.len() || self.header.present >> index & 1 == 0 {
            return Err(DecodeError::Field("block index"));
        }
        let before = (self.header.present & ((1 << index) - 1)).count_ones() as usize;
        let start = before * self.header.block_len();
        self.plain.get(start..start + self.header.block_len()).ok_or(DecodeError::Truncated)
    }
}
