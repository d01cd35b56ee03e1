//! A head's items and file bytes, as `fs` reads and changes them.

use crate::error::Result;
use crate::format::InodeNumber;
use crate::tree::Key;

/// Longest value of an item, in bytes.
pub const VALUE_MAX: usize = 1024;

/// Reads one consistent state.
pub trait Items {
    /// An item's value.
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>>;

    /// Calls `found` with the items from `first` to `last` (both included) in order, until it returns false.
    fn scan(&self, first: Key, last: Key, found: &mut dyn FnMut(Key, &[u8]) -> bool) -> Result<()>;

    /// Fills `buffer` from a file's bytes; what was never written is zero. Knows nothing of file sizes.
    fn read(&self, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Bytes of the whole blocks that a file has now.
    fn allocated(&self, inode: InodeNumber) -> Result<u64>;

    /// The first offset at or after `offset`, and below `end`, that lies in an allocated block (`data`) or in none.
    fn seek(&self, inode: InodeNumber, offset: u64, end: u64, data: bool) -> Result<Option<u64>>;
}

/// Reads and changes one state. Changing it does not fail for a reason that the state could have told before.
pub trait ItemsMut: Items {
    /// Sets an item.
    fn put(&mut self, key: Key, value: Vec<u8>) -> Result<()>;

    /// Removes an item; it may be absent.
    fn delete(&mut self, key: Key) -> Result<()>;

    /// Sets bytes of a file. Knows nothing of file sizes.
    fn write(&mut self, inode: InodeNumber, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Makes a file's bytes from `first` up to but not including `end` zero, giving back whole blocks.
    fn punch(&mut self, inode: InodeNumber, first: u64, end: u64) -> Result<()>;
}
