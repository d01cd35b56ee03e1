//! From blocks to stored bytes.

use crate::extent::codec::{Encoding, Header, stamp};
use crate::extent::{BLOCKS_MAX, Compressor, Extent, Origin, PLAIN_LEN_MAX, PlainBlock};
use crate::format::{Checksum, DecodeError, Encoder, SlotId};

/// An extent ready to be stored, but for its id.
#[derive(Clone, Debug)]
pub struct Sealed {
    front: Vec<u8>,
    payload: Payload,
    /// The hash of each block.
    pub hashes: Vec<Checksum>,
}

/// What follows the header.
#[derive(Clone, Debug)]
enum Payload {
    Bytes(Vec<u8>),
    /// Shared with whoever has the blocks, so that nothing compresses them without a copy.
    Blocks(Vec<PlainBlock>),
}

impl Sealed {
    /// Seals 1 to 32 whole blocks of `block_len` bytes that lie one after another in `plain`, compressed
    /// at `level`, or raw.
    pub fn seal(plain: &[u8], block_len: usize, level: Option<i8>, origin: Origin, with: &mut Compressor) -> Self {
        let hashes = plain.chunks(block_len).map(Checksum::of).collect();
        let packed = level.and_then(|level| with.compress(&[plain], level));
        let (header, encoding) = (new_header(block_len, plain.len(), hashes, origin), encoding_of(packed.as_deref()));
        Self::with_header(header, encoding, Payload::Bytes(packed.unwrap_or_else(|| plain.to_vec())))
    }

    /// The same for blocks of equal lengths whose hashes are known.
    pub fn seal_blocks(
        blocks: Vec<PlainBlock>,
        hashes: Vec<Checksum>,
        level: Option<i8>,
        origin: Origin,
        with: &mut Compressor,
    ) -> Self {
        let pieces: Vec<&[u8]> = blocks.iter().map(|block| &**block).collect();
        let plain_len = pieces.iter().map(|piece| piece.len()).sum();
        let packed = level.and_then(|level| with.compress(&pieces, level));
        let header = new_header(pieces[0].len(), plain_len, hashes, origin);
        let encoding = encoding_of(packed.as_deref());
        Self::with_header(header, encoding, packed.map_or(Payload::Blocks(blocks), Payload::Bytes))
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
        let header = Header { present: keep, ..header.clone() };
        let id = header.id;
        let packed = level.and_then(|level| with.compress(&[&plain], level));
        let encoding = encoding_of(packed.as_deref());
        let mut sealed = Self::with_header(header, encoding, Payload::Bytes(packed.unwrap_or(plain)));
        sealed.stamp(id);
        Ok(sealed)
    }

    /// Puts in the extent's id, which completes it.
    pub fn stamp(&mut self, id: SlotId) {
        stamp(&mut self.front, id);
    }

    /// Bytes that it takes.
    pub fn stored_len(&self) -> usize {
        self.front.len() + self.payload.len()
    }

    /// Writes header and payload, which `out` is as long as.
    pub fn put(&self, out: &mut [u8]) {
        let (front, mut rest) = out.split_at_mut(self.front.len());
        front.copy_from_slice(&self.front);
        match &self.payload {
            Payload::Bytes(bytes) => rest.copy_from_slice(bytes),
            Payload::Blocks(blocks) => blocks.iter().for_each(|block| {
                rest.split_off_mut(..block.len()).expect("there is room for all blocks").copy_from_slice(block);
            }),
        }
    }

    /// Header and payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.stored_len()];
        self.put(&mut bytes);
        bytes
    }

    fn with_header(mut header: Header, encoding: Encoding, payload: Payload) -> Self {
        header.encoding = encoding;
        header.stored_len = payload.len() as u32;
        let mut front = Encoder::with_capacity(header.encoded_len());
        header.encode(&mut front);
        Self { front: front.bytes, payload, hashes: header.hashes }
    }
}

impl Payload {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Blocks(blocks) => blocks.iter().map(|block| block.len()).sum(),
        }
    }
}

fn new_header(block_len: usize, plain_len: usize, hashes: Vec<Checksum>, origin: Origin) -> Header {
    assert!(block_len.is_power_of_two() && (4 << 10..=64 << 10).contains(&block_len), "a block of {block_len}");
    assert!((1..=PLAIN_LEN_MAX).contains(&plain_len) && plain_len == hashes.len() * block_len);
    assert!(hashes.len() <= BLOCKS_MAX, "an extent of {} blocks", hashes.len());
    Header {
        id: SlotId(0),
        block_len_log2: block_len.trailing_zeros() as u8,
        present: u32::MAX >> (BLOCKS_MAX - hashes.len()),
        encoding: Encoding::Raw,
        stored_len: 0,
        origin,
        hashes,
    }
}

fn encoding_of(packed: Option<&[u8]>) -> Encoding {
    if packed.is_some() { Encoding::Zstd } else { Encoding::Raw }
}
