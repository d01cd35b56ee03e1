//! The file that carries the index from one opening of a pool to the next.
//!
//! Invariant: the file only saves space, and its loss costs nothing else. It is written beside the old one, flushed and
//! renamed, so it is whole; what is odd about it all the same is left out. It may be older than the pool, as it is after a
//! crash: ids are never used again, so what it tells is still true, or names what is gone.

use std::sync::Arc;

use crate::dedup::codec::{CHUNK_LEN, ENTRIES_MAX, decode, encode, file_len};
use crate::dedup::index::Entry;
use crate::error::{ErrorKind, Result};
use crate::format::PoolId;
use crate::media::{Media, MediaFile};

/// The file.
pub(in crate::dedup) const SAVED_NAME: &str = "dedup";
/// What it is called until it is whole.
pub(in crate::dedup) const UNFINISHED_NAME: &str = "dedup.new";

/// The file, if there is one that can be opened.
pub(in crate::dedup) fn open(media: &dyn Media) -> Option<Arc<dyn MediaFile>> {
    media.open(SAVED_NAME).ok()
}

/// Calls `found` with the entries of each chunk, up to the first that is not this pool's, or not whole, or cannot be read.
pub(in crate::dedup) fn read(file: &dyn MediaFile, pool: PoolId, found: &mut dyn FnMut(&[Entry])) {
    let length = file.length().unwrap_or(0);
    let mut bytes = Vec::new();
    for number in 0..length.div_ceil(CHUNK_LEN as u64) {
        let start = number * CHUNK_LEN as u64;
        bytes.resize((length - start).min(CHUNK_LEN as u64) as usize, 0);
        if file.read_at(&mut bytes, start).is_err() {
            return;
        }
        let Ok(entries) = decode(&bytes, pool, number) else { return };
        found(&entries);
    }
}

/// Writes a file of `count` entries, which `take` returns at most so many at a time, in the place of the one that is there.
pub(in crate::dedup) fn write(
    media: &dyn Media,
    pool: PoolId,
    count: usize,
    take: &mut dyn FnMut(usize) -> Vec<Entry>,
) -> Result<()> {
    let mut write = || {
        remove(media, UNFINISHED_NAME)?;
        let file = media.create(UNFINISHED_NAME, file_len(count))?;
        for number in 0..count.div_ceil(ENTRIES_MAX) {
            let entries = take((count - number * ENTRIES_MAX).min(ENTRIES_MAX));
            file.write_at(&encode(pool, number as u64, &entries), (number * CHUNK_LEN) as u64)?;
        }
        file.flush()?;
        // The directory is not synced: whichever of the two files a crash leaves is whole, and a failed sync would hide
        // from others that their names may not be durable.
        media.rename(UNFINISHED_NAME, SAVED_NAME)
    };
    write().map_err(|error| {
        // It only takes space; the next one who writes or opens removes it.
        let _ = media.unlink(UNFINISHED_NAME);
        error.during("save the index of stored blocks")
    })
}

/// Removes a file, if it is there.
pub(in crate::dedup) fn remove(media: &dyn Media, name: &str) -> Result<bool> {
    match media.unlink(name) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.during("remove the saved index of stored blocks")),
    }
}
