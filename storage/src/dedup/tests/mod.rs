//! Streams that are stored again, whole, changed, moved and destroyed.

mod saved;

use std::sync::Arc;

use crate::account::{Account, AccountOptions};
use crate::dedup::{Finder, NEIGHBOURS};
use crate::extent::{Compressor, Origin, Sealed};
use crate::format::{Birth, Checksum, DatasetId, InodeNumber, SlotId};
use crate::media::{Choices, Media, Simulator};
use crate::segment::SegmentOptions;

const BLOCK_LEN: usize = 4096;
const ORIGIN: Origin = Origin { dataset: DatasetId(1), inode: InodeNumber(1), first_block: 0 };

struct Stored {
    disk: Arc<Simulator>,
    account: Account,
    finder: Finder,
    with: Compressor,
    birth: Birth,
}

impl Stored {
    fn new(index_budget: u64) -> Self {
        let segments = SegmentOptions { segment_len: 1 << 20, reserve_count: 1 };
        let disk = Arc::new(Simulator::new());
        let media: Arc<dyn Media> = disk.clone();
        let account = Account::create(media, AccountOptions::new(segments, 1 << 20)).unwrap();
        Self { disk, account, finder: Finder::new(index_budget), with: Compressor::new().unwrap(), birth: Birth(1) }
    }

    /// Stores blocks in extents of four, and returns where each lies.
    fn store(&mut self, blocks: &[Vec<u8>]) -> Vec<(SlotId, u8)> {
        let mut places = Vec::new();
        for extent in blocks.chunks(4) {
            let mut sealed = Sealed::seal(&extent.concat(), BLOCK_LEN, None, ORIGIN, &mut self.with);
            let id = self.account.append_extent(self.birth, true, &mut sealed).unwrap();
            self.finder.remember(id, &sealed.hashes);
            places.extend((0..extent.len()).map(|index| (id, index as u8)));
        }
        places
    }

    fn commit(&mut self) {
        self.account.commit(self.birth, self.birth, None).unwrap();
        self.birth.0 += 1;
    }

    fn find(&self, blocks: &[Vec<u8>]) -> Vec<Option<(SlotId, u8)>> {
        let hashes: Vec<_> = blocks.iter().map(|block| Checksum::of(block)).collect();
        self.finder.find(&self.account, self.birth, &hashes).unwrap()
    }
}

fn blocks(choices: &mut Choices, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| (0..BLOCK_LEN).map(|_| choices.below(256) as u8).collect()).collect()
}

#[test]
fn a_stream_that_is_stored_is_found_block_by_block() {
    for seed in 0..8 {
        let choices = &mut Choices::new(seed);
        let mut stored = Stored::new(1 << 20);
        let mut stream = blocks(choices, 160);
        let places = stored.store(&stream);
        stored.commit();
        // Each twentieth block changed: its neighbours are found all the same.
        let changed: Vec<usize> = (0..160).step_by(20).collect();
        changed.iter().for_each(|at| stream[*at] = blocks(choices, 1).remove(0));
        let found = stored.find(&stream);
        let hits = found.iter().flatten().count();
        assert!(hits >= 140, "seed {seed}: {hits} of 152 unchanged blocks were found");
        for (at, hit) in found.iter().enumerate() {
            assert!(hit.is_none_or(|hit| hit == places[at] && !changed.contains(&at)), "seed {seed}: block {at}");
        }
        assert!(stored.find(&blocks(choices, 40)).iter().all(Option::is_none), "nobody stored these");
    }
}

#[test]
fn a_hit_adds_a_reference_and_a_dead_block_is_no_hit() {
    let choices = &mut Choices::new(1);
    let mut stored = Stored::new(1 << 20);
    let stream = blocks(choices, 64);
    let places = stored.store(&stream);
    stored.commit();
    let hits: Vec<_> = stored.find(&stream).into_iter().flatten().collect();
    assert!(hits.len() > 32);
    for round in 0..2 {
        // The first round takes off the references of the hits, the second those of the blocks' first owners.
        let gone = if round == 0 { &hits } else { &places };
        gone.iter().for_each(|(id, index)| stored.account.free(stored.birth, *id, *index, 1).unwrap());
        stored.commit();
        let found = stored.find(&stream);
        assert_eq!(found.iter().all(Option::is_none), round == 1, "round {round}");
        found.iter().flatten().for_each(|(id, index)| stored.account.free(stored.birth, *id, *index, 1).unwrap());
    }
}

#[test]
fn without_an_index_nothing_is_found() {
    let choices = &mut Choices::new(1);
    let mut stored = Stored::new(0);
    let stream = blocks(choices, 4 * NEIGHBOURS as usize);
    stored.store(&stream);
    assert!(stored.find(&stream).iter().all(Option::is_none));
}
