//! The two fixed slots that name the current roots, and copies of them among the nodes.
//!
//! Invariant: a slot is overwritten only while the other one holds the durable root, so power
//! loss at any moment leaves at least one slot whole.

mod codec;
mod copy;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{DecodeError, PoolId};
use crate::media::{Media, MediaFile};

pub use copy::{COPY_LENGTHS, COPY_PAYLOAD_LEN_MAX};

/// The file that holds both slots.
pub const SUPERBLOCK_NAME: &str = "superblock";

/// What the file is called until both its bytes and its name can be made durable.
const UNFINISHED_NAME: &str = "superblock.new";

/// Bytes in a slot.
pub const SLOT_LEN: usize = 4096;

/// From one slot to the other: far enough that no disk erases both at once.
const SLOT_DISTANCE: u64 = 64 << 10;

/// Most bytes that a payload may have.
pub const PAYLOAD_LEN_MAX: usize = 3584;

/// One commit's roots, as the pool encoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The pool it belongs to.
    pub pool: PoolId,
    /// The number of the commit; it goes into the slot `commit % 2`.
    pub commit: u64,
    /// What the pool needs to find its roots; at most [`PAYLOAD_LEN_MAX`] bytes.
    pub payload: Vec<u8>,
}

impl Superblock {
    /// Makes the file with its first superblock. After power loss it is there whole, or not at all.
    pub fn create(media: &dyn Media, first: &Self) -> Result<Arc<dyn MediaFile>> {
        let act = "cannot create the superblock";
        if media.list()?.iter().any(|name| name == SUPERBLOCK_NAME) {
            return Err(Error::new(ErrorKind::Exists, "there is a superblock already").during(act));
        }
        first.replace(media).map_err(|error| error.during(act))
    }

    /// Makes the file anew with this superblock in its slot and nothing in the other. After power loss the file is the
    /// old one or the new one.
    fn replace(&self, media: &dyn Media) -> Result<Arc<dyn MediaFile>> {
        match media.unlink(UNFINISHED_NAME) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = media.create(UNFINISHED_NAME, 2 * SLOT_DISTANCE)?;
        // Written all over, so that a later flush of a slot never has to allocate.
        file.write_at(&vec![0; 2 * SLOT_DISTANCE as usize], 0)?;
        self.publish(&*file)?;
        media.rename(UNFINISHED_NAME, SUPERBLOCK_NAME)?;
        media.sync_directory()?;
        Ok(file)
    }

    /// Makes this the current superblock where neither slot is whole, so that there is nothing to lose.
    pub fn restore(&self, media: &dyn Media) -> Result<()> {
        match self.replace(media) {
            Err(error) if error.kind() == ErrorKind::NoSpace => {}
            other => return other.map(drop).map_err(|error| error.during("cannot write the superblock")),
        }
        // The host is full, and the old file has its room.
        let file = Self::open(media)?;
        self.publish(&*file)?;
        let cleared = file.write_at(&[0; SLOT_LEN], (self.commit + 1) % 2 * SLOT_DISTANCE).and_then(|()| file.flush());
        cleared.map_err(|error| error.during("cannot write the superblock"))
    }

    /// Opens the file, for [`Superblock::publish`].
    pub fn open(media: &dyn Media) -> Result<Arc<dyn MediaFile>> {
        media.open(SUPERBLOCK_NAME).map_err(|error| error.during("cannot open the superblock"))
    }

    /// The newest superblock, made durable if it was only seen in a cache. One damaged slot is what
    /// power loss leaves; `Corrupt` if neither is whole, `UnknownVersion` if a newer build wrote one.
    pub fn current(media: &dyn Media) -> Result<Self> {
        let newest = match Self::both(media)? {
            [Some(even), Some(odd)] if even.pool != odd.pool => {
                return Err(Error::new(ErrorKind::Corrupt, "the two superblocks belong to different pools"));
            }
            [even, odd] => even.into_iter().chain(odd).max_by_key(|found| found.commit),
        };
        let message = "both superblock slots are damaged: recover the superblock from the copies among the nodes";
        let newest = newest.ok_or_else(|| Error::new(ErrorKind::Corrupt, message))?;
        // After a killed process or a failed flush a slot may be readable without being durable, and publishing the
        // next one would overwrite the only durable slot. A flush alone does not mend a failed one. Where the slot is
        // durable, what is torn now is what is there.
        newest.publish(&*Self::open(media)?)?;
        Ok(newest)
    }

    /// What the two slots hold; `None` for a damaged or empty one.
    pub fn both(media: &dyn Media) -> Result<[Option<Self>; 2]> {
        let file = Self::open(media)?;
        Ok([Self::read(&*file, 0)?, Self::read(&*file, 1)?])
    }

    /// Whether the file is gone, or neither slot can be read. `UnknownVersion` if a newer build wrote one.
    pub fn is_lost(media: &dyn Media) -> Result<bool> {
        let file = match Self::open(media) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            other => other?,
        };
        for slot in [0, 1] {
            match Self::read(&*file, slot) {
                Ok(Some(_)) => return Ok(false),
                Err(error) if error.kind() != ErrorKind::Io => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        Ok(true)
    }

    fn read(file: &dyn MediaFile, slot: u64) -> Result<Option<Self>> {
        let act = "cannot read the superblock";
        if file.length()? < slot * SLOT_DISTANCE + SLOT_LEN as u64 {
            return Ok(None);
        }
        let mut bytes = [0; SLOT_LEN];
        file.read_at(&mut bytes, slot * SLOT_DISTANCE).map_err(|error| error.during(act))?;
        match Self::decode(&bytes) {
            // One in the other's place was never written there by us.
            Ok(found) => Ok((found.commit % 2 == slot).then_some(found)),
            Err(cause @ DecodeError::Version { .. }) => Err(Error::from(cause).during(act)),
            Err(_) => Ok(None),
        }
    }

    /// Writes this superblock over the older one and flushes it: when this returns it is the current one.
    /// Everything that it names must be durable by then. After an error either may be current.
    pub fn publish(&self, file: &dyn MediaFile) -> Result<()> {
        let act = "cannot write the superblock";
        file.write_at(&self.encode(), self.commit % 2 * SLOT_DISTANCE).map_err(|error| error.during(act))?;
        file.flush().map_err(|error| error.during(act))
    }
}

#[cfg(test)]
mod tests;
