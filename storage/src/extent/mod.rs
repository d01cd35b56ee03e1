//! Seals and opens one extent: blocks that are compressed and stored as one unit.
//!
//! Invariant: a block comes out of an extent only against the hash that its reader expects, so no
//! damage, and no other extent's bytes, pass for what was written. Pure: bytes in, bytes out.

mod codec;
mod compressor;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod open;
mod plain;
mod seal;
#[cfg(test)]
mod tests;

use crate::format::{DatasetId, InodeNumber};

pub use codec::{Encoding, HASH_LEN, HEADER_LEN, Header};
pub use compressor::Compressor;
pub use open::Extent;
pub use plain::PlainBlock;
pub use seal::Sealed;

/// Most blocks of an extent.
pub const BLOCKS_MAX: usize = 32;
/// Most bytes of plain data in an extent.
pub const PLAIN_LEN_MAX: usize = 128 << 10;

/// Where the blocks were written first: a hint that cleaning sorts by. Clones and deduplicated files
/// may refer to them from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Whose head it was.
    pub dataset: DatasetId,
    /// The file.
    pub inode: InodeNumber,
    /// The number in the file of the extent's first block.
    pub first_block: u64,
}
