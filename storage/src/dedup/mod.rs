//! Finds blocks that are stored already: a cache with a cap.
//!
//! Few fingerprints are remembered, so that an index of a hundred megabytes serves a terabyte: one
//! that is found is an anchor, and the headers of the extents around it answer for its neighbours.
//! What was written together is mostly written together again.
//!
//! Invariant: a hit is a block whose full hash is the wanted one, and which something refers to.

mod codec;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod index;
mod nearby;
mod saved;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::account::{Account, SlotKind};
use crate::dedup::index::Index;
use crate::dedup::nearby::Nearby;
use crate::error::{ErrorKind, Result};
use crate::extent::Header;
use crate::format::{Birth, Checksum, PoolId, SlotId};
use crate::media::{Media, MediaFile};
use crate::segment::Place;
use crate::sync::Mutex;

/// One block in so many is remembered.
const SAMPLED_OF: u8 = 8;
/// Extents that are looked at on either side of an anchor's: 1 MiB of the usual size, before compression.
const NEIGHBOURS: u32 = 16;
/// Extents that are looked at ahead of a stream that goes on in the order in which it was stored.
const AHEAD: u32 = 8 * NEIGHBOURS;
/// They are left out if they lie further away, in stored bytes: they were moved.
const DISTANCE_MAX: u32 = 1 << 20;
/// Extents whose hashes are kept for one finder: about 10 MiB.
const NEARBY_MAX: usize = 8 << 10;

/// The index is saved in the background once so large a part of what it can hold was remembered anew.
const SAVED_PART: u64 = 64;
/// It may take so large a part of what the host has to spare.
const SPARE_PART: u64 = 8;

/// Finds stored blocks, and remembers new ones.
pub struct Finder {
    index: Mutex<Index>,
    nearby: Mutex<Nearby>,
    /// The file of an earlier opening, until something is looked up.
    unread: Mutex<Option<(Arc<dyn MediaFile>, PoolId)>>,
    /// Held while the index is saved.
    saved: Mutex<Saved>,
}

/// What is known of the file that the index is saved in.
#[derive(Default)]
struct Saved {
    /// Whether there may be a file.
    exists: bool,
    /// How much the index had remembered when it was saved last.
    at: u64,
    /// The same, when that was tried last.
    tried_at: u64,
}

impl Finder {
    /// A finder whose index takes at most `budget` bytes.
    pub fn new(budget: u64) -> Self {
        let (index, nearby) = (Index::new(budget), Nearby::new(NEARBY_MAX));
        Self { index: Mutex::new(index), nearby: Mutex::new(nearby), unread: Mutex::default(), saved: Mutex::default() }
    }

    /// For each hash the stored block that has it, where one was found, with one reference more as part of
    /// `generation`. The hashes are those of a stream, in order.
    pub fn find(&self, account: &Account, generation: Birth, wanted: &[Checksum]) -> Result<Vec<Option<(SlotId, u8)>>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.recall();
        let mut nearby = self.nearby.lock();
        for hash in wanted.iter().filter(|hash| is_sampled(hash)) {
            let anchor = self.index.lock().get(hash);
            if let Some(id) = anchor.filter(|id| nearby.anchor(*id)) {
                look_around(account, id, &mut nearby);
            }
        }
        wanted.iter().map(|hash| refer(account, generation, nearby.get(hash))).collect()
    }

    /// Remembers the blocks of a new extent.
    pub fn remember(&self, id: SlotId, hashes: &[Checksum]) {
        let mut index = self.index.lock();
        hashes.iter().filter(|hash| is_sampled(hash)).for_each(|hash| index.insert(hash, id));
    }

    /// Has the index that was saved in this pool's files taken in, once something is looked up: opening a pool is not to
    /// wait for that.
    pub fn recall_later(&self, media: &dyn Media, pool: PoolId) {
        // Left by a crash; it is in nobody's way but the host's.
        let _ = saved::remove(media, saved::UNFINISHED_NAME);
        let file = saved::open(media);
        self.saved.lock().exists = file.is_some();
        *self.unread.lock() = file.map(|file| (file, pool));
    }

    /// Saves the index if enough is new for the background to do that: what is written for it is little beside what was
    /// written since.
    pub fn save_when_due(&self, media: &dyn Media, pool: PoolId, margin: u64) -> Result<()> {
        let (remembered, capacity) = {
            let index = self.index.lock();
            (index.remembered(), index.capacity() as u64)
        };
        let due = remembered - self.saved.lock().tried_at > capacity / SAVED_PART;
        if due { self.save(media, pool, margin) } else { Ok(()) }
    }

    /// Saves what is new since the index was saved, for the next opening. Skipped where it would take more than a small
    /// part of what the host has beyond `margin` bytes. After an error the file is the one before, or none.
    pub fn save(&self, media: &dyn Media, pool: PoolId, margin: u64) -> Result<()> {
        self.recall();
        let mut saved = self.saved.lock();
        let (count, remembered) = {
            let index = self.index.lock();
            (index.used(), index.remembered())
        };
        saved.tried_at = remembered;
        let spare = media.space()?.free.saturating_sub(margin);
        if count == 0 || remembered == saved.at || codec::file_len(count) > spare / SPARE_PART {
            return Ok(());
        }
        let mut next = 0;
        saved::write(media, pool, count, &mut |count| {
            // Locked for a chunk at a time: who looks something up meanwhile does not wait for the disk.
            let mut entries = Vec::with_capacity(count);
            next = self.index.lock().collect(next, count, &mut entries);
            entries
        })?;
        (saved.exists, saved.at) = (true, remembered);
        Ok(())
    }

    /// Removes the file, whose space is wanted; what it had stays in memory. Returns whether there was one.
    pub fn give_up_saved(&self, media: &dyn Media) -> bool {
        self.recall();
        let mut saved = self.saved.lock();
        if !std::mem::take(&mut saved.exists) {
            return false;
        }
        // The next close saves it again, if there is room by then.
        saved.at = u64::MAX;
        saved::remove(media, saved::SAVED_NAME).unwrap_or(false)
    }

    /// Takes in what was saved, if that was not done yet.
    fn recall(&self) {
        let Some((file, pool)) = self.unread.lock().take() else { return };
        let mut index = self.index.lock();
        if index.capacity() > 0 {
            saved::read(&*file, pool, &mut |entries| entries.iter().for_each(|entry| index.insert_older(*entry)));
        }
    }
}

/// A block is sampled for its content, so that it is one in every copy.
fn is_sampled(hash: &Checksum) -> bool {
    hash.0[0].is_multiple_of(SAMPLED_OF)
}

fn refer(account: &Account, generation: Birth, block: Option<(SlotId, u8)>) -> Result<Option<(SlotId, u8)>> {
    let Some((id, index)) = block else { return Ok(None) };
    match account.add_reference(generation, id, index) {
        Ok(refers) => Ok(block.filter(|_| refers)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the headers of an extent and those that lie around it, as far as they are not known, in one read. What cannot be
/// read now is just not referred to.
fn look_around(account: &Account, anchor: SlotId, nearby: &mut Nearby) {
    let slot_after = |count| anchor.slot().saturating_add(count).min(SlotId::SLOTS_PER_SEGMENT - 1);
    // A stream that goes on in the order in which it was stored meets an anchor every few extents. Were all that lies
    // around each of them read, that would be the same over and over.
    let goes_on = nearby.knows(anchor);
    if goes_on && nearby.knows(SlotId::new(anchor.segment(), slot_after(NEIGHBOURS))) {
        return;
    }
    let Some(place) = place_of(account, anchor) else { return };
    let first = if goes_on { anchor.slot() } else { anchor.slot().saturating_sub(NEIGHBOURS) };
    let last = slot_after(if goes_on { AHEAD } else { NEIGHBOURS });
    let ids = (first..=last).map(|slot| SlotId::new(anchor.segment(), slot)).filter(|id| !nearby.knows(*id));
    let is_near = |other: &Place| other.segment == place.segment && other.offset.abs_diff(place.offset) <= DISTANCE_MAX;
    let extents = ids.filter_map(|id| Some((id, place_of(account, id).filter(is_near)?)));
    let extents: Vec<(SlotId, Place)> = extents.collect();
    if extents.is_empty() {
        return;
    }
    let start = extents.iter().map(|(_, place)| place.offset).min().unwrap_or(place.offset);
    let end = extents.iter().map(|(_, place)| place.end()).max().unwrap_or(place.end());
    let mut bytes = vec![0; (end - start) as usize];
    if account.segments().read(Place { offset: start, length: end - start, ..place }, &mut bytes).is_err() {
        return;
    }
    for (id, place) in extents {
        let stored = &bytes[(place.offset - start) as usize..(place.end() - start) as usize];
        if let Some(header) = Header::decode(stored).ok().filter(|header| header.id == id) {
            nearby.add(id, header.hashes);
        }
    }
}

fn place_of(account: &Account, id: SlotId) -> Option<Place> {
    let slot = account.lookup(id).ok()?.filter(|slot| slot.kind == SlotKind::Extent)?;
    Some(slot.place)
}
