//! The small pool that programs begin with.

use std::sync::Arc;

use cow_storage::catalog::Properties;
use cow_storage::error::Result;
use cow_storage::executor::Inline;
use cow_storage::format::{PoolId, Timestamp};
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::{Budgets, NewPool, Pool};

use crate::model::Model;
use crate::small::world::{Files, hashes};
use crate::small::{MAIN, Outcome, Promises, Step, World};

const BLOCK_LEN: u32 = 4096;
/// Bytes that the disk has room for.
const CAPACITY: u64 = 64 << 20;

/// A pool that was closed, and what it holds.
pub struct Base {
    pub(super) disk: Simulator,
    pub(super) world: World,
}

impl Base {
    /// A pool with one dataset, in which these steps were done.
    pub fn new(steps: &[Step]) -> Self {
        let disk = Arc::new(Simulator::new());
        // The smaller the disk, the less is kept in reserve.
        disk.set_capacity(Some(CAPACITY));
        let media: Arc<dyn Media> = disk.clone();
        let new = NewPool {
            id: PoolId(*b"small-exhaustive"),
            secret: [7; 32],
            segment_size: 1 << 20,
            intent_size: 256 << 10,
        };
        Pool::create(&media, &new).expect("a pool can be made on an empty disk");
        let pool = open(&disk, 0).expect("a new pool can be opened");
        let properties = Properties { block_size: BLOCK_LEN, extent_size: 4 * BLOCK_LEN, ..Properties::default() };
        pool.create_dataset(MAIN, &properties, Timestamp::default()).expect("a dataset can be made");
        let mut world = World::default();
        world.datasets.insert(MAIN.to_owned(), Files::new(Model::new(BLOCK_LEN, None, Timestamp::default())));
        let mut promises = Promises::new(world);
        for (time, step) in (1..).zip(steps) {
            let made = step.act(&pool, time).unwrap_or_else(|error| panic!("{step:?}: {error:?}"));
            promises.step(step, &Outcome { made, ..Outcome::default() }, time);
        }
        promises.live.learn(&hashes(&pool.list().expect("an open pool has a listing")));
        // What is kept in reserve is there from now on.
        pool.commit(Timestamp::default()).expect("a pool can commit");
        pool.close(Timestamp::default()).expect("a pool can be closed");
        Self { disk: disk.duplicate(), world: promises.live }
    }
}

impl Base {
    /// Whether each step of a program can be done.
    pub fn allows(&self, program: &[Step]) -> bool {
        let mut world = self.world.clone();
        (1..).zip(program).all(|(time, step)| world.act(step, None, time).is_ok())
    }
}

/// Opens the pool on a disk.
pub(super) fn open(disk: &Arc<Simulator>, boot: u64) -> Result<Pool> {
    let budgets = Budgets { dirty: 1 << 20, nodes: 256 << 10, blocks: 256 << 10, slots: 64 << 10, dedup: 16 << 10 };
    let media: Arc<dyn Media> = Arc::clone(disk) as _;
    Pool::open(media, Arc::new(Inline), budgets, boot, Timestamp { seconds: 900, nanoseconds: 0 })
}
