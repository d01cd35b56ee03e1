//! The plain bytes of one block, shared by cache, overlays and readers.
//!
//! Invariant: the bytes have an allocation of their own, whose length is the block's. Allocators have classes for powers
//! of two, and the next class is a quarter larger: the counts that an `Arc<[u8]>` puts before its bytes would cost that.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A block's bytes. Cloning shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainBlock(Arc<Box<[u8]>>);

impl PlainBlock {
    /// The bytes, to change them; others who share them keep them as they are.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let own: &mut Box<[u8]> = Arc::make_mut(&mut self.0);
        own
    }
}

impl From<&[u8]> for PlainBlock {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::new(bytes.into()))
    }
}

impl From<Vec<u8>> for PlainBlock {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes.into_boxed_slice()))
    }
}

impl Deref for PlainBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PlainBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainBlock of {} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_bytes_keeps_them() {
        let mut bytes = PlainBlock::from(&[1, 2, 3][..]);
        let shared = bytes.clone();
        bytes.bytes_mut()[1] = 9;
        assert_eq!((&*bytes, &*shared), (&[1, 9, 3][..], &[1, 2, 3][..]));
        assert_eq!(PlainBlock::from(vec![1, 9, 3]), bytes);
    }
}
