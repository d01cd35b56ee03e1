//! Reference counts, and the index that finds blocks to refer to again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{Account, AccountOptions, AccountState};
use crate::dedup::Finder;
use crate::extent::{Compressor, Extent, Origin, Sealed};
use crate::format::{Birth, Checksum, DatasetId, InodeNumber, SlotId};
use crate::media::{Choices, Media, Simulator};
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};
use crate::segment::SegmentOptions;
use crate::sync::Mutex;

const BLOCK_LEN: usize = 4096;
const EXTENTS: usize = 4;
const ORIGIN: Origin = Origin { dataset: DatasetId(1), inode: InodeNumber(1), first_block: 0 };
/// The generation of the long commit, which small ones pass.
const LONG: Birth = Birth(100);

/// A block by place: what is in it, and how often it is referred to.
type Blocks = BTreeMap<(SlotId, u8), (Checksum, i64)>;

struct World {
    disk: Arc<Simulator>,
    account: Account,
    finder: Finder,
    /// The streams of blocks that there are.
    streams: Vec<Vec<Vec<u8>>>,
    blocks: Mutex<Blocks>,
    compressor: Mutex<Compressor>,
}

fn options() -> AccountOptions {
    let segments = SegmentOptions { segment_len: 1 << 20, reserve_count: 1 };
    AccountOptions { fold_pages: 1, ..AccountOptions::new(segments, 0) }
}

/// Four blocks, the first of which an index would remember.
fn stream(choices: &mut Choices) -> Vec<Vec<u8>> {
    let mut block = || (0..BLOCK_LEN / 8).flat_map(|_| choices.below(u64::MAX).to_le_bytes()).collect::<Vec<u8>>();
    let first = std::iter::repeat_with(&mut block).find(|block| Checksum::of(block).0[0].is_multiple_of(8));
    first.into_iter().chain((0..3).map(|_| block())).collect()
}

impl World {
    fn new(choices: &mut Choices) -> Self {
        let disk = Arc::new(Simulator::new());
        let account = Account::create(Arc::clone(&disk) as Arc<dyn Media>, options()).unwrap();
        let streams = (0..EXTENTS).map(|_| stream(choices)).collect();
        let (blocks, compressor) = (Mutex::default(), Mutex::new(Compressor::new().unwrap()));
        let world = Self { disk, account, finder: Finder::new(1 << 12), streams, blocks, compressor };
        (0..EXTENTS).for_each(|number| world.store(Birth(1), number));
        // One extent dies before the race begins, and is folded away in it.
        let first: Vec<_> = world.blocks.lock().keys().copied().take(4).collect();
        world.account.commit(Birth(1), Birth(0), None).unwrap();
        first.into_iter().for_each(|block| world.free(Birth(2), block));
        world.account.commit(Birth(2), Birth(0), None).unwrap();
        world
    }

    fn store(&self, generation: Birth, number: usize) {
        let stream = &self.streams[number];
        let mut sealed = Sealed::seal(&stream.concat(), BLOCK_LEN, None, ORIGIN, &mut self.compressor.lock());
        let id = self.account.append_extent(generation, true, &mut sealed).unwrap();
        self.finder.remember(id, &sealed.hashes);
        let mut blocks = self.blocks.lock();
        blocks.extend((0..).zip(&sealed.hashes).map(|(index, hash)| ((id, index), (*hash, 1))));
    }

    fn free(&self, generation: Birth, (id, index): (SlotId, u8)) {
        self.blocks.lock().get_mut(&(id, index)).unwrap().1 -= 1;
        self.account.free(generation, id, index, 1).unwrap();
    }

    /// What a long commit does: it writes streams again, and refers to what is there.
    fn write_back(&self, mut choices: Choices) {
        for _ in 0..3 {
            let number = choices.below(EXTENTS as u64) as usize;
            let wanted: Vec<Checksum> = self.streams[number].iter().map(|block| Checksum::of(block)).collect();
            let found = self.finder.find(&self.account, LONG, &wanted).unwrap();
            for (hash, place) in wanted.iter().zip(&found).filter_map(|(hash, place)| Some((hash, (*place)?))) {
                let mut blocks = self.blocks.lock();
                let block = blocks.get_mut(&place).expect("a hit is a block that there is");
                assert_eq!(block.0, *hash, "a hit has other bytes");
                block.1 += 1;
            }
            if found.iter().all(Option::is_none) {
                self.store(LONG, number);
            }
        }
    }

    /// What small commits do that pass it: they free what was there before.
    fn pass(&self, mut choices: Choices) {
        let mut first: Vec<_> = self.blocks.lock().keys().copied().skip(4).take(EXTENTS * 4 - 4).collect();
        for birth in 3..6 {
            for _ in 0..choices.below(5) {
                self.free(Birth(birth), first.swap_remove(choices.below(first.len() as u64) as usize));
            }
            if choices.below(2) == 0 {
                self.account.hurry();
            }
            // The long one has pinned the commit before.
            self.account.commit(Birth(birth), Birth(2), None).unwrap();
        }
    }

    /// Counts references, and reads all blocks that have some.
    fn check(&self, account: &Account, birth: Birth) {
        for (&(id, index), &(hash, count)) in &*self.blocks.lock() {
            let found = account.references(id, birth).unwrap();
            let found = found.map_or(0, |references| references.counts[usize::from(index)]);
            assert_eq!(found as i64, count, "references to block {index} of {id:?}");
            if count > 0 {
                let (mut stored, mut compressor) = (Vec::new(), self.compressor.lock());
                account.read_extent(id, &mut stored).unwrap();
                let extent = Extent::open(&stored, id, &mut compressor).unwrap();
                assert!(extent.block(usize::from(index), &hash.block_hash()).is_ok());
            }
        }
    }

    fn commit(&self, birth: Birth) -> AccountState {
        self.account.hurry();
        let state = self.account.commit(birth, birth, None).unwrap();
        self.account.segments().flush().unwrap();
        self.account.reclaim(birth, birth).unwrap();
        state
    }
}

/// Whether a hit comes before a block's last reference goes or after it, counts are right, what they keep can be read, and
/// a reopened account has the same.
#[test]
fn counts_are_exact_whoever_comes_first() {
    in_many_orders(500, |mut choices| {
        let world = World::new(&mut choices);
        let mut own = split(&mut choices, 2);
        thread::scope(|scope| {
            let (world, passing) = (&world, own.remove(0));
            scope.spawn(move || world.write_back(own.remove(0)));
            scope.spawn(move || world.pass(passing));
            scope.spawn(|| (0..8).for_each(|_| assert!(world.account.totals().live > 0)));
        });
        world.check(&world.account, LONG);
        world.commit(LONG);
        let state = world.commit(Birth(LONG.0 + 1));
        world.check(&world.account, state.birth());
        let disk: Arc<dyn Media> = Arc::new(world.disk.crash(&mut |limit| choices.below(limit)));
        world.check(&Account::open(disk, options(), &state).unwrap(), state.birth());
    });
}
