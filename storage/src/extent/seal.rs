//! From blocks to stored bytes.

use crate::extent::codec::{Encoding, Header, stamp};
use crate::extent::{BLOCKS_MAX, Compressor, Extent, HASH_LEN, HEADER_LEN, Origin, PLAIN_LEN_MAX};
use crate::format::{Checksum, DecodeError, Encoder, SlotId};

/// An extent ready to be stored, but for its id.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Header and payload.
    pub bytes: Vec<u8>,
    /// The hash of each block.
    pub hashes: Vec<Checksum>,
}

impl Sealed {
    /// Seals 1 to 32 whole blocks of `block_len` bytes that lie one after another in `plain`, compressed
    /// at `level`, or raw.
    pub fn seal(plain: &[u8], block_len: usize, level: Option<i8>, origin: Origin, with: &mut Compressor) -> Self {
        let hashes = plain.chunks(block_len).map(Checksum::of).collect();
        Self::seal_hashed(plain, block_len, hashes, level, origin, with)
    }

    /// The same for blocks whose hashes are known.
    pub fn seal_hashed(
        plain: &[u8],
        block_len: usize,
        hashes: Vec<Checksum>,
        level: Option<i8>,
        origin: Origin,
        with: &mut Compressor,
    ) -> Self {
        assert!(block_len.is_power_of_two() && (4 << 10..=64 << 10).contains(&block_len), "a block of {block_len}");
        assert!((1..=PLAIN_LEN_MAX).contains(&plain.len()) && plain.len() == hashes.len() * block_len);
        assert!(hashes.len() <= BLOCKS_MAX, "an extent of {} blocks", hashes.len());
        let header = Header {
            id: SlotId(0),
            block_len_log2: block_len.trailing_zeros() as u8,
            present: u32::MAX >> (BLOCKS_MAX - hashes.len()),
            encoding: Encoding::Raw,
            stored_len: 0,
            origin,
            hashes,
        };
        Self::encode(header, plain, level, with)
    }

    /// Seals an extent again with only the blocks of `keep`; its hashes, origin and id stay. Fails if one
    /// of them is damaged, and if `keep` names a block that is not there, or none.
    pub fn reseal(
        extent: &Extent<'_>,
        keep: u32,
        level: Option<i8>,
        with: &mut Compressor,
    ) -> Result<Self, DecodeError> {
        let header = extent.header();
        if keep == 0 || keep & !header.present != 0 {
            return Err(DecodeError::Field("present blocks"));
        }
        let mut plain = Vec::with_capacity(keep.count_ones() as usize * header.block_len());
        for index in (0..header.hashes.len()).filter(|index| keep >> index & 1 == 1) {
            plain.extend_from_slice(extent.block(index, &header.hashes[index].block_hash())?);
        }
        let header = Header { present: keep, encoding: Encoding::Raw, stored_len: 0, ..header.clone() };
        let id = header.id;
        let mut sealed = Self::encode(header, &plain, level, with);
        sealed.stamp(id);
        Ok(sealed)
    }

    /// Puts in the extent's id, which completes it.
    pub fn stamp(&mut self, id: SlotId) {
        let header_len = HEADER_LEN + self.hashes.len() * HASH_LEN;
        stamp(&mut self.bytes[..header_len], id);
    }

    fn encode(mut header: Header, plain: &[u8], level: Option<i8>, with: &mut Compressor) -> Self {
        let header_len = header.encoded_len();
        let mut bytes = Vec::with_capacity(header_len + plain.len());
        bytes.resize(header_len, 0);
        if level.is_some_and(|level| with.compress(plain, level, &mut bytes)) {
            header.encoding = Encoding::Zstd;
        } else {
            bytes.extend_from_slice(plain);
        }
        header.stored_len = (bytes.len() - header_len) as u32;
        let mut front = Encoder::with_capacity(header_len);
        header.encode(&mut front);
        bytes[..header_len].copy_from_slice(&front.bytes);
        Self { bytes, hashes: header.hashes }
    }
}
