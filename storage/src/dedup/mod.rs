//! Finds blocks that are stored already: a cache with a cap.
//!
//! Few fingerprints are remembered, so that an index of a hundred megabytes serves a terabyte: one
//! that is found is an anchor, and the headers of the extents around it answer for its neighbours.
//! What was written together is mostly written together again.
//!
//! Invariant: a hit is a block whose full hash is the wanted one, and which something refers to.

mod index;
mod nearby;
#[cfg(test)]
mod tests;

use parking_lot::Mutex;

use crate::account::{Account, SlotKind};
use crate::dedup::index::Index;
use crate::dedup::nearby::Nearby;
use crate::error::{ErrorKind, Result};
use crate::extent::Header;
use crate::format::{Birth, Checksum, SlotId};
use crate::segment::Place;

/// One block in so many is remembered.
const SAMPLED_OF: u8 = 8;
/// Extents that are looked at on either side of an anchor's: 1 MiB of the usual size, before compression.
const NEIGHBOURS: u32 = 16;
/// They are left out if they lie further away, in stored bytes: they were moved.
const DISTANCE_MAX: u32 = 1 << 20;
/// Extents whose hashes are kept for one finder: about 10 MiB.
const NEARBY_MAX: usize = 8 << 10;

/// Finds stored blocks, and remembers new ones.
pub struct Finder {
    index: Mutex<Index>,
    nearby: Mutex<Nearby>,
}

impl Finder {
    /// A finder whose index takes at most `budget` bytes.
    pub fn new(budget: u64) -> Self {
        Self { index: Mutex::new(Index::new(budget)), nearby: Mutex::new(Nearby::new(NEARBY_MAX)) }
    }

    /// For each hash the stored block that has it, where one was found, with one reference more as part of
    /// `generation`. The hashes are those of a stream, in order.
    pub fn find(&self, account: &Account, generation: Birth, wanted: &[Checksum]) -> Result<Vec<Option<(SlotId, u8)>>> {
        let mut nearby = self.nearby.lock();
        for hash in wanted.iter().filter(|hash| is_sampled(hash)) {
            let anchor = self.index.lock().get(hash);
            if let Some((id, _)) = anchor.filter(|(id, _)| nearby.anchor(*id)) {
                look_around(account, id, &mut nearby);
            }
        }
        wanted.iter().map(|hash| refer(account, generation, nearby.get(hash))).collect()
    }

    /// Remembers the blocks of a new extent.
    pub fn remember(&self, id: SlotId, hashes: &[Checksum]) {
        let mut index = self.index.lock();
        for (number, hash) in hashes.iter().enumerate().filter(|(_, hash)| is_sampled(hash)) {
            index.insert(hash, id, number as u8);
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

/// Reads the headers of an extent and those that lie around it, in one read. What cannot be read now is just not
/// referred to.
fn look_around(account: &Account, anchor: SlotId, nearby: &mut Nearby) {
    let Some(place) = place_of(account, anchor) else { return };
    let first = anchor.slot().saturating_sub(NEIGHBOURS);
    let last = anchor.slot().saturating_add(NEIGHBOURS).min(SlotId::SLOTS_PER_SEGMENT - 1);
    let ids = (first..=last).map(|slot| SlotId::new(anchor.segment(), slot));
    let is_near = |other: &Place| other.segment == place.segment && other.offset.abs_diff(place.offset) <= DISTANCE_MAX;
    let extents = ids.filter_map(|id| Some((id, place_of(account, id).filter(is_near)?)));
    let extents: Vec<(SlotId, Place)> = extents.collect();
    let start = extents.iter().map(|(_, place)| place.offset).min().unwrap_or(place.offset);
    let end = extents.iter().map(|(_, place)| place.end()).max().unwrap_or(place.end());
    let mut bytes = vec![0; (end - start) as usize];
    if account.segments().read(Place { offset: start, length: end - start, ..place }, &mut bytes).is_err() {
        return;
    }
    for (id, place) in extents {
        let stored = &bytes[(place.offset - start) as usize..(place.end() - start) as usize];
        if let Some(header) = Header::decode(stored).ok().filter(|header| header.id == id && !nearby.knows(id)) {
            nearby.add(id, header.hashes);
        }
    }
}

fn place_of(account: &Account, id: SlotId) -> Option<Place> {
    let slot = account.lookup(id).ok()?.filter(|slot| slot.kind == SlotKind::Extent)?;
    Some(slot.place)
}
