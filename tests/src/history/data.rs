//! Bytes that a call writes, told in few words.
//!
//! Invariant: the words decide the bytes.

use std::fmt;

use crate::random::Random;

const PIECE_LEN: usize = 4096;
/// Different pieces that [`Content::Pieces`] draws from.
const PIECES: u64 = 40;

/// What the bytes are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All the same.
    Fill(u8),
    /// Nothing compresses them.
    Random,
    /// Pieces of which there are few, so that many are there twice.
    Pieces,
    /// Random bytes with long runs of zeros between.
    Gaps,
}

/// Bytes by seed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Data {
    pub content: Content,
    pub length: usize,
    pub seed: u64,
}

impl Data {
    pub fn bytes(&self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        match self.content {
            Content::Fill(byte) => vec![byte; self.length],
            Content::Random => random.bytes(self.length),
            Content::Pieces => self.pieces(|| Random::new(random.below(PIECES)).bytes(PIECE_LEN)),
            Content::Gaps => self.pieces(|| match random.below(3) {
                0 => random.bytes(PIECE_LEN),
                _ => vec![0; PIECE_LEN],
            }),
        }
    }

    fn pieces(&self, mut piece: impl FnMut() -> Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length + PIECE_LEN);
        while bytes.len() < self.length {
            bytes.extend_from_slice(&piece());
        }
        bytes.truncate(self.length);
        bytes
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {:?} {:x}", self.length, self.content, self.seed & 0xffff)
    }
}
