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
use crate::extent::{BLOCKS_MAX, HASH_LEN, HEADER_LEN, Header};
use crate::format::{Birth, Checksum, SlotId};
use crate::segment::Place;

/// One block in so many is remembered.
const SAMPLED_OF: u8 = 8;
/// Extents that are looked at on either side of an anchor's: 512 KiB of the usual size.
const NEIGHBOURS: u32 = 8;
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

/// Reads the headers of an extent and those numbered around it.
fn look_around(account: &Account, id: SlotId, nearby: &mut Nearby) {
    let first = id.slot().saturating_sub(NEIGHBOURS);
    for slot in first..id.slot().saturating_add(NEIGHBOURS + 1).min(SlotId::SLOTS_PER_SEGMENT) {
        let id = SlotId::new(id.segment(), slot);
        // One that is not there now may be there later.
        if let Some(hashes) = Some(id).filter(|id| !nearby.knows(*id)).and_then(|id| hashes_of(account, id)) {
            nearby.add(id, hashes);
        }
    }
}

/// The hashes in an extent's header, if there is such an extent and it can be read. What cannot be read now is
/// just not referred to.
fn hashes_of(account: &Account, id: SlotId) -> Option<Vec<Checksum>> {
    let slot = account.lookup(id).ok()?.filter(|slot| slot.kind == SlotKind::Extent)?;
    let length = slot.place.length.min((HEADER_LEN + BLOCKS_MAX * HASH_LEN) as u32);
    let mut front = vec![0; length as usize];
    account.segments().read(Place { length, ..slot.place }, &mut front).ok()?;
    Header::decode(&front).ok().filter(|header| header.id == id).map(|header| header.hashes)
}
