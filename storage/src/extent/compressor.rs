//! Compression contexts, one set a thread, and the quick look that says whether compressing pays.

use std::io;

use zstd::bulk;
use zstd::zstd_safe::compress_bound;

use crate::error::{Error, ErrorKind, Result};
use crate::format::DecodeError;

/// Plain bytes that are looked at before a large payload is compressed.
const SAMPLE_LEN: usize = 4 << 10;
/// The sample is this many pieces, spread over the payload.
const SAMPLE_PIECES: usize = 8;

/// Contexts for sealing and opening extents. Making one costs far more than using it: keep one a thread.
pub struct Compressor {
    encoder: bulk::Compressor<'static>,
    decoder: bulk::Decompressor<'static>,
    level: i32,
    /// Room for what lies in several pieces, and for what becomes of it: memory that was touched before.
    joined: Vec<u8>,
    packed: Vec<u8>,
}

impl Compressor {
    /// New contexts. Fails when the host has no memory for them.
    pub fn new() -> Result<Self> {
        let make = || -> io::Result<Self> {
            let (encoder, decoder) = (bulk::Compressor::new(1)?, bulk::Decompressor::new()?);
            Ok(Self { encoder, decoder, level: 1, joined: Vec::new(), packed: Vec::new() })
        };
        make().map_err(|cause| Error::because(ErrorKind::Io, "make a compression context", cause))
    }

    /// Compresses what the pieces are together, or tells that it would not save a sixteenth.
    pub(in crate::extent) fn compress(&mut self, pieces: &[&[u8]], level: i8) -> Option<Vec<u8>> {
        if !worth_trying(pieces) || self.set_level(level).is_err() {
            return None;
        }
        let plain = match pieces {
            [whole] => whole,
            _ => {
                self.joined.clear();
                pieces.iter().for_each(|piece| self.joined.extend_from_slice(piece));
                &self.joined[..]
            }
        };
        self.packed.clear();
        self.packed.reserve(compress_bound(plain.len()));
        let length = self.encoder.compress_to_buffer(plain, &mut self.packed).ok()?;
        (length <= plain.len() - plain.len() / 16).then(|| self.packed.clone())
    }

    /// Decompresses to exactly `plain_len` bytes.
    pub(in crate::extent) fn decompress(&mut self, stored: &[u8], plain_len: usize) -> Result<Vec<u8>, DecodeError> {
        let mut plain = Vec::with_capacity(plain_len);
        match self.decoder.decompress_to_buffer(stored, &mut plain) {
            Ok(length) if length == plain_len => Ok(plain),
            _ => Err(DecodeError::Field("payload")),
        }
    }

    fn set_level(&mut self, level: i8) -> io::Result<()> {
        if self.level != i32::from(level) {
            self.encoder.set_compression_level(i32::from(level))?;
            self.level = i32::from(level);
        }
        Ok(())
    }
}

/// Whether a sample's bytes are uneven enough. Random bytes, and what is compressed already, are not.
fn worth_trying(pieces: &[&[u8]]) -> bool {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    if length <= 2 * SAMPLE_LEN {
        return true;
    }
    // Several counts, since adding to the one that was just added to makes the processor wait.
    let mut counts = [[0u32; 256]; 4];
    let sampled_len = SAMPLE_LEN / SAMPLE_PIECES;
    for sampled in 0..SAMPLE_PIECES {
        let start = (length - sampled_len) * sampled / (SAMPLE_PIECES - 1) / sampled_len * sampled_len;
        for bytes in from(pieces, start, sampled_len).as_chunks::<4>().0 {
            counts.iter_mut().zip(bytes).for_each(|(counts, byte)| counts[usize::from(*byte)] += 1);
        }
    }
    // Even bytes make the sum of squares n + n^2/256; a fifth more is far outside of chance.
    let count = |byte: usize| counts.iter().map(|counts| u64::from(counts[byte])).sum::<u64>();
    let squares: u64 = (0..256).map(|byte| count(byte).pow(2)).sum();
    let length = SAMPLE_LEN as u64;
    squares * 5 > (length + length * length / 256) * 6
}

/// At most `length` bytes from `start` on, of one piece.
fn from<'a>(pieces: &[&'a [u8]], mut start: usize, length: usize) -> &'a [u8] {
    for piece in pieces {
        if start < piece.len() {
            return &piece[start..piece.len().min(start + length)];
        }
        start -= piece.len();
    }
    &[]
}
