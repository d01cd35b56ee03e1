//! BLAKE3, whole and truncated.

use std::fmt;

/// All 32 bytes of a BLAKE3 hash: what superblocks, interior nodes and extent headers carry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Checksum(pub [u8; 32]);

impl Checksum {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first half: what a leaf carries for each block.
    pub fn block_hash(&self) -> BlockHash {
        BlockHash(self.0[..16].try_into().expect("half of 32 bytes"))
    }
}

/// The first 16 bytes of the BLAKE3 hash of a block's plain bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BlockHash(pub [u8; 16]);

impl BlockHash {
    /// The hash of a block's plain bytes.
    pub fn of(block: &[u8]) -> Self {
        Checksum::of(block).block_hash()
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
