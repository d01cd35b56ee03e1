//! XDR (RFC 4506): bounded decoding and encoding. Pure.
//!
//! Invariant: decoding never looks past the bytes received and allocates nothing; lengths are checked
//! against a limit before they are used.

use crate::nfs::buffers::Buffer;

/// The bytes are not what the protocol says they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arguments cannot be decoded")]
pub struct Garbage;

/// Reads values off the front of received bytes.
#[derive(Clone, Copy)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// All that is left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Result<u32, Garbage> {
        let (value, rest) = self.bytes.split_first_chunk().ok_or(Garbage)?;
        self.bytes = rest;
        Ok(u32::from_be_bytes(*value))
    }

    /// A 64-bit number.
    pub fn u64(&mut self) -> Result<u64, Garbage> {
        let (value, rest) = self.bytes.split_first_chunk().ok_or(Garbage)?;
        self.bytes = rest;
        Ok(u64::from_be_bytes(*value))
    }

    /// A truth value: 0 or 1.
    pub fn bool(&mut self) -> Result<bool, Garbage> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbage),
        }
    }

    /// Exactly `length` bytes and their padding.
    pub fn fixed(&mut self, length: usize) -> Result<&'a [u8], Garbage> {
        let padded = length.checked_next_multiple_of(4).ok_or(Garbage)?;
        let (value, rest) = self.bytes.split_at_checked(padded).ok_or(Garbage)?;
        self.bytes = rest;
        Ok(&value[..length])
    }

    /// A length of at most `limit`, that many bytes, and their padding.
    pub fn opaque(&mut self, limit: usize) -> Result<&'a [u8], Garbage> {
        let length = self.u32()? as usize;
        if length > limit { Err(Garbage) } else { self.fixed(length) }
    }
}

/// Appends values to a reply.
pub struct Encoder {
    buffer: Buffer,
}

impl Encoder {
    /// Appends to what `buffer` holds.
    pub fn new(buffer: Buffer) -> Self {
        Self { buffer }
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.filled()
    }

    /// Whether they lie in a buffer that is a part of the budget.
    pub fn is_counted(&self) -> bool {
        self.buffer.is_counted()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.buffer.filled().len()
    }

    /// Makes room for `length` more bytes at once: for replies that may be large.
    pub fn reserve(&mut self, length: usize) {
        self.buffer.reserve(length);
    }

    /// Takes everything after the first `length` bytes back.
    pub fn truncate(&mut self, length: usize) {
        self.buffer.truncate(length);
    }

    /// A 32-bit number.
    pub fn u32(&mut self, value: u32) {
        self.buffer.append(&value.to_be_bytes());
    }

    /// A 64-bit number.
    pub fn u64(&mut self, value: u64) {
        self.buffer.append(&value.to_be_bytes());
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    /// Bytes and their padding, without their length.
    pub fn fixed(&mut self, value: &[u8]) {
        self.buffer.append(value);
        self.pad(value.len());
    }

    /// Bytes after their length, with padding.
    pub fn opaque(&mut self, value: &[u8]) {
        self.u32(value.len() as u32);
        self.fixed(value);
    }

    /// Puts a number where one was put before.
    pub fn patch_u32(&mut self, at: usize, value: u32) {
        self.buffer.filled_mut()[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// Lets `fill` write up to `length` bytes in place; what it says it wrote counts, and is padded.
    pub fn fill<E>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        let start = self.len();
        let written = fill(self.buffer.extend(length)).inspect_err(|_| self.buffer.truncate(start))?;
        assert!(written <= length);
        self.buffer.truncate(start + written);
        self.pad(written);
        Ok(written)
    }

    fn pad(&mut self, length: usize) {
        self.buffer.append(&[0; 3][..length.next_multiple_of(4) - length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nfs::buffers::Buffers;

    #[test]
    fn what_is_encoded_is_decoded() {
        let buffers = Buffers::new(1 << 20).portion(None);
        for length in 0..9 {
            let mut encoder = Encoder::new(buffers.take(0));
            let text = &b"abcdefgh"[..length];
            encoder.u32(7);
            encoder.opaque(text);
            encoder.u64(u64::MAX);
            encoder.bool(true);
            let written = encoder.fill(9, |room| {
                room[..2].copy_from_slice(b"xy");
                Ok::<_, Garbage>(2)
            });
            assert_eq!(written, Ok(2));
            encoder.patch_u32(0, 8);
            let mut decoder = Decoder::new(encoder.bytes());
            assert_eq!((decoder.u32(), decoder.opaque(8)), (Ok(8), Ok(text)));
            assert_eq!((decoder.u64(), decoder.bool(), decoder.fixed(2)), (Ok(u64::MAX), Ok(true), Ok(&b"xy"[..])));
            assert_eq!(decoder.bytes, b"");
            for cut in 0..encoder.len() {
                let mut decoder = Decoder::new(&encoder.bytes()[..cut]);
                let all = decoder.u32().and(decoder.opaque(8)).and(decoder.u64()).and(decoder.bool());
                assert!(all.and(decoder.fixed(2)).is_err());
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        assert_eq!(Decoder::new(&[0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]).opaque(4), Err(Garbage));
        assert_eq!(Decoder::new(&[0xff; 64]).opaque(usize::MAX), Err(Garbage));
        assert_eq!(Decoder::new(&[0xff; 64]).fixed(usize::MAX), Err(Garbage));
        assert_eq!(Decoder::new(&[0, 0, 0, 2]).bool(), Err(Garbage));
    }
}
