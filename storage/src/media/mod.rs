//! Bytes at offsets in named files: what the engine stands on.
//!
//! All names are flat (no folders). Nothing is durable before [`MediaFile::flush`] (bytes and
//! length of that file) or [`Media::sync_directory`] (creation, rename and unlink) returned.
//! Two implementations: a directory of a host file system, and a simulator that breaks on cue.

mod buffer;
mod direct;
mod directory;
mod sim;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

pub use buffer::{ALIGNMENT, Buffer, BufferPool, is_aligned};
pub use directory::Directory;
pub use sim::{Choices, Operation, OperationKind, Simulator, Watcher};

/// A set of files.
pub trait Media: Send + Sync {
    /// The names of all files, in any order.
    fn list(&self) -> Result<Vec<String>>;
    /// Makes a file of `length` bytes whose space is allocated; fails with `Exists` if it is there,
    /// and with `NoSpace`, leaving no file, if the host has no room.
    fn create(&self, name: &str, length: u64) -> Result<Arc<dyn MediaFile>>;
    /// Opens a file, or fails with `NotFound`.
    fn open(&self, name: &str) -> Result<Arc<dyn MediaFile>>;
    /// Renames a file, replacing one that has the new name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a name. Handles that are open stay good.
    fn unlink(&self, name: &str) -> Result<()>;
    /// Makes creations, renames and unlinks so far durable.
    fn sync_directory(&self) -> Result<()>;
    /// What the host has.
    fn space(&self) -> Result<MediaSpace>;
    /// Gives memory back that is only kept to be used again.
    fn release_memory(&self) {}
}

/// One file: positional, and safe to use from several threads.
///
/// Any offset and length may be given; those that are multiples of 4 KiB, from aligned memory,
/// avoid a copy.
pub trait MediaFile: Send + Sync {
    /// The file's length in bytes.
    fn length(&self) -> Result<u64>;
    /// Fills `buffer`; bytes past the end are an `Io` error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()>;
    /// Writes all of `bytes`, growing the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;
    /// Makes everything written and the length durable. After an error nothing is known.
    fn flush(&self) -> Result<()>;
    /// Gives a range's pages back to the host; it reads as zeros.
    fn punch(&self, offset: u64, length: u64) -> Result<()>;
    /// Sets the length.
    fn truncate(&self, length: u64) -> Result<()>;
}

/// Room on the host, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaSpace {
    /// All that the pool could ever use.
    pub total: u64,
    /// What is free now.
    pub free: u64,
}

/// Refuses names that are not one flat file name of at most 255 bytes.
fn check_name(name: &str) -> Result<()> {
    let flat = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    if !flat || name.len() > 255 {
        return Err(Error::new(ErrorKind::Invalid, format!("{name:?} cannot be the name of a pool file")));
    }
    Ok(())
}
