//! The layout of an extent's header; FORMAT.md has the table.

use crate::extent::{BLOCKS_MAX, Origin, PLAIN_LEN_MAX};
use crate::format::{Checksum, DatasetId, DecodeError, Decoder, Encoder, InodeNumber, SlotId};

const MAGIC: &[u8; 4] = b"COWX";
const VERSION: u16 = 1;
/// Bytes of the header before the block hashes.
pub const HEADER_LEN: usize = 104;
/// Bytes of a block's hash in the header.
pub const HASH_LEN: usize = 32;
/// Where the checksum lies: it covers the bytes before it and the block hashes.
const CHECKSUM_AT: usize = HEADER_LEN - CHECKSUM_LEN;
const CHECKSUM_LEN: usize = 16;
const ID_AT: usize = 8;
/// Cipher fields between the origin and the checksum: key id, nonce, tag. All zero in this version.
const CIPHER_LEN: usize = 4 + 12 + 16;

const _: () = assert!(HEADER_LEN == 4 + 2 + 1 + 1 + 8 + 4 + 1 + 1 + 2 + 4 + 4 + 24 + CIPHER_LEN + CHECKSUM_LEN);

/// How the payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// One zstd frame.
    Zstd,
}

/// What an extent says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The extent's name.
    pub id: SlotId,
    /// Bytes in a block, as a power of two: 12 to 16.
    pub block_len_log2: u8,
    /// A bit for each block that the payload holds; the others died before it was encoded.
    pub present: u32,
    /// How the payload is stored.
    pub encoding: Encoding,
    /// Bytes of the payload as stored.
    pub stored_len: u32,
    /// Where the blocks were written first.
    pub origin: Origin,
    /// The hash of every block, present or not.
    pub hashes: Vec<Checksum>,
}

impl Header {
    /// Bytes in a block.
    pub fn block_len(&self) -> usize {
        1 << self.block_len_log2
    }

    /// Bytes of the payload once decoded.
    pub fn plain_len(&self) -> usize {
        self.present.count_ones() as usize * self.block_len()
    }

    /// Bytes of the encoded header with its hashes.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.hashes.len() * HASH_LEN
    }

    /// Bytes of the whole extent.
    pub fn extent_len(&self) -> usize {
        self.encoded_len() + self.stored_len as usize
    }

    /// The header's bytes, without id and checksum.
    pub fn encode(&self, out: &mut Encoder) {
        out.raw(MAGIC).u16(VERSION).u8(self.block_len_log2).u8(self.hashes.len() as u8).u64(self.id.0);
        out.u32(self.present).u8(self.encoding as u8).u8(0).u16(0);
        out.u32(self.plain_len() as u32).u32(self.stored_len);
        out.u64(self.origin.dataset.0).u64(self.origin.inode.0).u64(self.origin.first_block);
        out.raw(&[0; CIPHER_LEN]).raw(&[0; CHECKSUM_LEN]);
        self.hashes.iter().for_each(|hash| {
            out.raw(&hash.0);
        });
    }

    /// Where in `bytes` the next header may begin.
    pub fn find(bytes: &[u8]) -> Option<usize> {
        bytes.windows(MAGIC.len()).position(|bytes| bytes == MAGIC)
    }

    /// Decodes the header at the start of `bytes`, which may go on after it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(bytes);
        if from.array::<4>()? != *MAGIC {
            return Err(DecodeError::Magic("an extent"));
        }
        let version = from.u16()?;
        let block_len_log2 = from.u8()?;
        let count = usize::from(from.u8()?);
        if !(12..=16).contains(&block_len_log2) || count == 0 || count > BLOCKS_MAX {
            return Err(DecodeError::Field("blocks"));
        }
        let header_len = HEADER_LEN + count * HASH_LEN;
        let header = bytes.get(..header_len).ok_or(DecodeError::Truncated)?;
        if header[CHECKSUM_AT..HEADER_LEN] != checksum_of(header) {
            return Err(DecodeError::Checksum("an extent's header"));
        }
        // Believed only now: magic, version, number of blocks and checksum have their places in all versions.
        if version != VERSION {
            return Err(DecodeError::Version { structure: "an extent", found: version, known: VERSION });
        }
        Self::decode_fields(from, block_len_log2, count)
    }

    fn decode_fields(mut from: Decoder<'_>, block_len_log2: u8, count: usize) -> Result<Self, DecodeError> {
        let id = SlotId(from.u64()?);
        let present = from.u32()?;
        let encoding = match from.u8()? {
            0 => Encoding::Raw,
            1 => Encoding::Zstd,
            _ => return Err(DecodeError::Field("encoding")),
        };
        let no_cipher = from.u8()? == 0 && from.u16()? == 0;
        let (plain_len, stored_len) = (from.u32()?, from.u32()?);
        let dataset = DatasetId(from.u64()?);
        let origin = Origin { dataset, inode: InodeNumber(from.u64()?), first_block: from.u64()? };
        if !no_cipher || from.array::<CIPHER_LEN>()? != [0; CIPHER_LEN] {
            return Err(DecodeError::Field("cipher"));
        }
        from.raw(CHECKSUM_LEN)?;
        let hashes = (0..count).map(|_| Ok(Checksum(from.array()?))).collect::<Result<_, DecodeError>>()?;
        let header = Self { id, block_len_log2, present, encoding, stored_len, origin, hashes };
        if u64::from(present) >> count != 0 || present == 0 {
            return Err(DecodeError::Field("present blocks"));
        }
        let fits = header.plain_len() <= PLAIN_LEN_MAX && stored_len <= plain_len;
        if !fits || header.plain_len() != plain_len as usize {
            return Err(DecodeError::Field("payload length"));
        }
        Ok(header)
    }
}

/// Puts the id, and the checksum that then follows, into an encoded header.
pub fn stamp(header: &mut [u8], id: SlotId) {
    header[ID_AT..ID_AT + 8].copy_from_slice(&id.0.to_le_bytes());
    let checksum = checksum_of(header);
    header[CHECKSUM_AT..HEADER_LEN].copy_from_slice(&checksum);
}

fn checksum_of(header: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header[..CHECKSUM_AT]).update(&header[HEADER_LEN..]);
    hasher.finalize().as_bytes()[..CHECKSUM_LEN].try_into().expect("half of 32 bytes")
}
