//! Space comes back: a pool that was used for an hour and emptied is as one that never held anything.

use std::collections::BTreeSet;
use std::env;

use crate::catalog::{Catalog, Holder};
use crate::format::Timestamp;
use crate::media::Media;
use crate::pool::Backlog;
use crate::pool::world::World;
use crate::tree::{Step, Visited, walk_all};

/// How many bytes more may be left: pages of the account list numbers of segments and slots, which only grow, so they are a
/// little longer, and some have another page above them.
const LONGER_PAGES: u64 = 16 << 10;

/// All that takes room in a pool.
#[derive(Debug, PartialEq, Eq)]
struct Footprint {
    live_bytes: u64,
    stored_bytes: u64,
    segments: usize,
    files: usize,
    slot_pages: usize,
    slots: usize,
    system_nodes: usize,
    records: usize,
    backlog: Backlog,
    heads: usize,
}

fn footprint(world: &World) -> Footprint {
    let core = world.core();
    let view = core.committed_view().unwrap();
    let account = core.store.account();
    let catalog = Catalog::load(&*core.store, &view.roots.system).unwrap();
    let mut nodes = BTreeSet::new();
    walk_all(&*core.store, &view.roots.system, &mut |visited| {
        if let Visited::Node { pointer, .. } = visited {
            nodes.insert(pointer.id);
        }
        Step::Into
    });
    let state = account.view(&view.roots.account);
    let pages = state.slot_pages(&mut |lost| panic!("{lost:?}"));
    let heads: Vec<Holder> = core.heads.lock().keys().copied().collect();
    let totals = account.totals();
    Footprint {
        live_bytes: totals.live,
        stored_bytes: totals.stored,
        segments: account.segments().present().len(),
        // The index of stored blocks is kept, whatever became of them: its file is never larger than the memory that it may take.
        files: world.disk.list().unwrap().iter().filter(|name| *name != "dedup").count(),
        slots: pages.iter().map(|page| state.slots(page).unwrap().len()).sum(),
        slot_pages: pages.len(),
        system_nodes: nodes.len(),
        records: catalog.forest().len(),
        backlog: world.pool.backlog(),
        heads: heads.len(),
    }
}

/// Works off all that is to be done.
fn rest(world: &World) {
    loop {
        world.settle();
        if world.pool.clean_step(u64::MAX, world.now()).unwrap().idle {
            break;
        }
    }
    world.settle();
}

fn empty(world: &mut World) {
    for name in world.datasets() {
        world.pool.destroy(&name, false, world.now()).unwrap();
    }
    let end = Timestamp { seconds: i64::MAX, nanoseconds: 0 };
    world.pool.purge(end, world.now()).unwrap();
    rest(world);
    // What an open pool has begun is finished by opening it again.
    world.reopen();
    rest(world);
}

fn use_for(seed: u64, seconds: u64) -> Footprint {
    let mut world = World::new(seed);
    (0..seconds).for_each(|_| world.step());
    empty(&mut world);
    footprint(&world)
}

/// `COW_HOURS` is for how many hours; each has a seed of its own.
#[test]
fn an_hour_of_use_leaves_nothing_behind() {
    let hours = env::var("COW_HOURS").map_or(2, |text| text.parse().expect("COW_HOURS is a number"));
    let unused = use_for(0, 0);
    for seed in 0..hours {
        let used = use_for(seed, 3600);
        assert!(used.live_bytes.abs_diff(unused.live_bytes) <= LONGER_PAGES, "seed {seed}: {used:?}, not {unused:?}");
        assert_eq!(Footprint { live_bytes: unused.live_bytes, ..used }, unused, "seed {seed}");
    }
}
