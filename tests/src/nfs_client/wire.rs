//! XDR as the client needs it, written apart from the server's, so that one checks the other.

use crate::nfs_client::{Failure, Outcome};

/// Appends values to a call.
#[derive(Clone, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Appends 32-bit numbers.
    #[must_use]
    pub fn words(mut self, words: &[u32]) -> Self {
        words.iter().for_each(|word| self.0.extend(word.to_be_bytes()));
        self
    }

    /// Appends a 64-bit number.
    #[must_use]
    pub fn long(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Appends bytes after their length, padded.
    #[must_use]
    pub fn opaque(self, bytes: &[u8]) -> Self {
        let mut written = self.words(&[bytes.len() as u32]);
        written.0.extend(bytes);
        written.0.resize(written.0.len().next_multiple_of(4), 0);
        written
    }
}

/// Reads values off a reply.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes.
    pub fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Failure::Garbage)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A 32-bit number.
    pub fn word(&mut self) -> Outcome<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    /// A 64-bit number.
    pub fn long(&mut self) -> Outcome<u64> {
        Ok(u64::from_be_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    /// A truth value.
    pub fn flag(&mut self) -> Outcome<bool> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Failure::Garbage),
        }
    }

    /// Bytes after their length, padded.
    pub fn opaque(&mut self) -> Outcome<&'a [u8]> {
        let length = self.word()? as usize;
        Ok(&self.take(length.next_multiple_of(4))?[..length])
    }

    /// Fails unless everything was read.
    pub fn finish(&self) -> Outcome<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Failure::Garbage) }
    }
}
