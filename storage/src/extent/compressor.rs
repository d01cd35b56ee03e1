//! Compression contexts, one set a thread, and the quick look that says whether compressing pays.

use std::io::{self, Cursor};

use zstd::bulk;
use zstd::zstd_safe::compress_bound;

use crate::error::{Error, ErrorKind, Result};
use crate::format::DecodeError;

/// Plain bytes that are looked at before a large payload is compressed.
const SAMPLE_LEN: usize = 8 << 10;
/// The sample is this many pieces, spread over the payload.
const SAMPLE_PIECES: usize = 4;

/// Contexts for sealing and opening extents. Making one costs far more than using it: keep one a thread.
pub struct Compressor {
    encoder: bulk::Compressor<'static>,
    decoder: bulk::Decompressor<'static>,
    level: i32,
}

impl Compressor {
    /// New contexts. Fails when the host has no memory for them.
    pub fn new() -> Result<Self> {
        let make = || -> io::Result<Self> {
            Ok(Self { encoder: bulk::Compressor::new(1)?, decoder: bulk::Decompressor::new()?, level: 1 })
        };
        make().map_err(|cause| Error::because(ErrorKind::Io, "make a compression context", cause))
    }

    /// Compresses `plain` to the end of `out` if that saves a sixteenth; else leaves `out` as it was.
    pub(in crate::extent) fn compress(&mut self, plain: &[u8], level: i8, out: &mut Vec<u8>) -> bool {
        if !worth_trying(plain) || self.set_level(level).is_err() {
            return false;
        }
        let start = out.len();
        let most = plain.len() - plain.len() / 16;
        // With less room zstd might give up where it could go on, and what is stored would depend on what `out` held before.
        out.reserve(compress_bound(plain.len()));
        let mut end = Cursor::new(&mut *out);
        end.set_position(start as u64);
        let paid = matches!(self.encoder.compress_to_buffer(plain, &mut end), Ok(length) if length <= most);
        if !paid {
            out.truncate(start);
        }
        paid
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
fn worth_trying(plain: &[u8]) -> bool {
    if plain.len() <= 2 * SAMPLE_LEN {
        return true;
    }
    // Several counts, since adding to the one that was just added to makes the processor wait.
    let mut counts = [[0u32; 256]; 4];
    let piece_len = SAMPLE_LEN / SAMPLE_PIECES;
    for piece in 0..SAMPLE_PIECES {
        let start = (plain.len() - piece_len) * piece / (SAMPLE_PIECES - 1);
        for bytes in plain[start..start + piece_len].as_chunks::<4>().0 {
            counts.iter_mut().zip(bytes).for_each(|(counts, byte)| counts[usize::from(*byte)] += 1);
        }
    }
    // Even bytes make the sum of squares n + n^2/256; a fifth more is far outside of chance.
    let count = |byte: usize| counts.iter().map(|counts| u64::from(counts[byte])).sum::<u64>();
    let squares: u64 = (0..256).map(|byte| count(byte).pow(2)).sum();
    let length = SAMPLE_LEN as u64;
    squares * 5 > (length + length * length / 256) * 6
}
