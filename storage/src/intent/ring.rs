//! The ring file, addressed by offsets that only grow.
//!
//! Invariant: an offset's place in the file is its remainder by the size, so what one lap leaves
//! behind can never pass for the next one's: a group says its own offset.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::intent::{INTENT_LEN_MIN, INTENT_NAME};
use crate::media::{ALIGNMENT, Media, MediaFile};

/// Groups begin at multiples of this many bytes.
pub(super) const PAGE_LEN: u64 = ALIGNMENT as u64;

pub(super) struct Ring {
    file: Arc<dyn MediaFile>,
    size: u64,
}

impl Ring {
    pub fn open(media: &dyn Media) -> Result<Self> {
        let file = media.open(INTENT_NAME)?;
        let size = file.length()?;
        if size < INTENT_LEN_MIN || !size.is_multiple_of(PAGE_LEN) {
            return Err(Error::new(ErrorKind::Corrupt, format!("an intent log cannot have {size} bytes")));
        }
        Ok(Self { file, size })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Splits `len` bytes at `offset`: the place of the first part, and its length.
    fn split(&self, offset: u64, len: usize) -> (u64, usize) {
        let place = offset % self.size;
        (place, len.min((self.size - place) as usize))
    }

    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let (place, first_len) = self.split(offset, buffer.len());
        let (first, second) = buffer.split_at_mut(first_len);
        self.file.read_at(first, place)?;
        if second.is_empty() { Ok(()) } else { self.file.read_at(second, 0) }
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let (place, first_len) = self.split(offset, bytes.len());
        let (first, second) = bytes.split_at(first_len);
        self.file.write_at(first, place)?;
        if second.is_empty() { Ok(()) } else { self.file.write_at(second, 0) }
    }

    pub fn flush(&self) -> Result<()> {
        self.file.flush()
    }
}
