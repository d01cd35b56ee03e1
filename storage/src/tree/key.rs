//! The key of an item.

/// Orders items: by object, then kind, then position.
///
/// A run's key is that of its first block; its other blocks follow at the next positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose item it is: an inode number, or a dataset's, or 0.
    pub object: u64,
    /// What kind of item; the owner of the tree gives these numbers their meaning.
    pub kind: u8,
    /// Which one of its kind.
    pub position: u64,
}

impl Key {
    /// The smallest key.
    pub const MIN: Self = Self::new(0, 0, 0);
    /// The largest key.
    pub const MAX: Self = Self::new(u64::MAX, u8::MAX, u64::MAX);
    /// Bytes of an encoded key.
    pub const LENGTH: usize = 17;

    /// A key.
    pub const fn new(object: u64, kind: u8, position: u64) -> Self {
        Self { object, kind, position }
    }
}
