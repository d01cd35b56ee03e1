//! What was foretold is what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Compression, Properties};
use crate::format::{SlotId, Timestamp};
use crate::pool::world::{World, open};
use crate::tree::{Step, Visited, walk_all};

/// Stored bytes and references by block of all that datasets and snapshots refer to.
type Stored = BTreeMap<SlotId, (u64, [u64; 32])>;

fn stored(world: &World) -> Stored {
    let core = world.core();
    let view = core.committed_view().unwrap();
    let mut of_the_pool = BTreeSet::new();
    walk_all(&*core.store, &view.roots.system, &mut |visited| {
        if let Visited::Node { pointer, .. } = visited {
            of_the_pool.insert(pointer.id);
        }
        Step::Into
    });
    let account = core.store.account().view(&view.roots.account);
    let mut stored = Stored::new();
    for page in account.slot_pages(&mut |lost| panic!("{lost:?}")) {
        for found in account.slots(&page).unwrap() {
            let mut counts = std::array::from_fn(|index| u64::from(found.slot.live >> index & 1));
            found.extras.iter().for_each(|(index, extra)| counts[usize::from(*index)] += u64::from(*extra));
            stored.insert(found.id, (u64::from(found.slot.place.length), counts));
        }
    }
    for change in account.pending().unwrap().of(SlotId(0)..=SlotId(u64::MAX)) {
        for index in change.first..change.first + change.count {
            let count = &mut stored.get_mut(&change.id).unwrap().1[usize::from(index)];
            *count = count.checked_add_signed(i64::from(change.change)).unwrap();
        }
    }
    stored.retain(|id, (_, counts)| !of_the_pool.contains(id) && counts.iter().any(|count| *count > 0));
    stored
}

fn live(counts: &[u64; 32]) -> u64 {
    counts.iter().filter(|count| **count > 0).count() as u64
}

/// What went between two states: of what went in part, that part.
fn went(before: &Stored, after: &Stored) -> u64 {
    let of = |(id, (length, counts)): (&SlotId, &(u64, [u64; 32]))| {
        let left = after.get(id).map_or(0, |(_, counts)| live(counts));
        *length as f64 * (live(counts) - left) as f64 / live(counts) as f64
    };
    before.iter().map(of).sum::<f64>().round() as u64
}

/// The same pool in another process.
fn copy(world: &World) -> World {
    let disk = Arc::new(world.disk.duplicate());
    let mut copy = World::new(0);
    copy.pool = open(&disk).unwrap();
    (copy.disk, copy.seconds) = (disk, world.seconds);
    copy
}

/// Destroys on a copy, and returns what went.
fn destroyed(world: &World, destroy: impl FnOnce(&World)) -> u64 {
    let copy = copy(world);
    let before = stored(&copy);
    destroy(&copy);
    copy.settle();
    went(&before, &stored(&copy))
}

#[test]
fn random_histories_free_what_was_foretold() {
    let (mut whole, mut part) = (0, 0);
    for seed in 0..10 {
        let mut world = World::new(seed + 40);
        world.crashes = false;
        for round in 0..8 {
            (0..25).for_each(|_| world.step());
            match round % 2 {
                0 => world.settle(),
                // What was freed last waits to be folded.
                _ => world.reclaim(),
            }
            let names = [world.datasets(), world.snapshots()].concat();
            for _ in 0..2 {
                let Some(name) = world.pick(&names) else { continue };
                let foretold = world.pool.would_free(&name).unwrap();
                // Destroyed longer ago than all else that waits, so that only this is purged.
                let freed = destroyed(&world, |copy| {
                    copy.pool.destroy(&name, false, Timestamp::default()).unwrap();
                    copy.pool.purge(Timestamp { seconds: 1, nanoseconds: 0 }, copy.now()).unwrap();
                });
                // They may round a half either way.
                assert!(foretold.abs_diff(freed) <= 1, "{foretold} foretold and {freed} freed of {name}");
                assert_eq!(world.pool.would_free_within(&name, 1 << 40).unwrap(), Some(foretold));
                let in_little_memory = world.core().would_free_by_shares(&name, 1 << 40, 3).unwrap();
                assert_eq!(in_little_memory, Some(foretold), "{name}");
                *(if foretold > 100_000 { &mut whole } else { &mut part }) += 1;
            }
            check_pool(&world);
        }
    }
    assert!(whole > 10 && part > 10, "{whole} large and {part} small ones");
}

fn check_pool(world: &World) {
    let space = world.pool.space().unwrap();
    let listing = world.pool.list().unwrap();
    let heads: u64 = listing.datasets.iter().map(|info| info.referenced).sum();
    let snapshots: u64 = listing.snapshots.iter().map(|info| info.referenced).sum();
    assert_eq!(space.logical, heads + snapshots);
    let end = Timestamp { seconds: i64::MAX, nanoseconds: 0 };
    let freed = destroyed(world, |copy| assert!(copy.pool.purge(end, copy.now()).is_ok()));
    assert!(copy(world).pool.space().unwrap().awaiting.abs_diff(freed) <= 1);
    for dataset in world.datasets() {
        let of = world.pool.dataset_space(&dataset).unwrap();
        let info = world.pool.dataset(&dataset).unwrap();
        let own = listing.snapshots.iter().filter(|snapshot| snapshot.dataset == info.id);
        assert_eq!((of.referenced, of.plain), (info.referenced, info.referenced));
        assert_eq!(of.logical, info.referenced + own.map(|snapshot| snapshot.referenced).sum::<u64>());
        assert_eq!(of.exclusive, world.pool.would_free(&dataset).unwrap());
        assert!(of.deduplicated <= of.stored);
    }
}

#[test]
fn a_dataset_tells_what_compression_and_deduplication_save() {
    let world = World::new(1);
    let raw = Properties { compression: Compression::Off, ..Properties::default() };
    for (name, properties) in [("raw", &raw), ("small", &Properties::default())] {
        world.pool.create_dataset(name, properties, world.now()).unwrap();
        world.put(name, "f", 0, if name == "raw" { 5 } else { 13 }, 1 << 20);
        world.settle();
    }
    let (large, small) = (world.pool.dataset_space("raw").unwrap(), world.pool.dataset_space("small").unwrap());
    assert_eq!((large.plain, small.plain, large.deduplicated, small.deduplicated), (1 << 20, 1 << 20, 0, 0));
    assert!(large.stored > 1 << 20 && large.stored < (1 << 20) + 16_000, "{large:?}");
    assert!(small.stored < 1 << 19 && small.exclusive > small.stored, "{small:?}");
    assert_eq!(world.pool.would_free_within("raw", 3).unwrap(), None, "it takes more pointers");

    world.put("raw", "again", 0, 5, 1 << 20);
    world.settle();
    let twice = world.pool.dataset_space("raw").unwrap();
    assert_eq!(twice.plain, 2 << 20);
    assert!(twice.deduplicated > 1 << 19 && twice.stored > 2 << 20, "{twice:?}");
    assert!(twice.exclusive < twice.stored, "{twice:?}");
}

/// What waits is counted anew when something else waits, and else the rarer the more it is.
#[test]
fn what_waits_is_counted_when_it_changes() {
    let world = World::new(1);
    let small = Properties { block_size: 4096, extent_size: 4096, dedup: false, ..Properties::default() };
    world.pool.create_dataset("d", &small, world.now()).unwrap();
    world.put("d", "f", 0, 4, 6 << 20);
    world.pool.snapshot(&[("d", "s")], world.now()).unwrap();
    assert_eq!(world.pool.space().unwrap().awaiting, 0);
    world.pool.destroy("d@s", false, world.now()).unwrap();
    assert_eq!(world.pool.space().unwrap().awaiting, 0, "the head has all of it");
    world.put("d", "f", 0, 8, 6 << 20);
    world.settle();
    let waits = world.pool.space().unwrap().awaiting;
    assert!(waits > 6 << 20, "it is worth a count: there was nothing to look at before");
    world.put("d", "g", 0, 12, 10_000);
    world.commit();
    assert_eq!(world.core().awaiting.lock().birth.0 + 1, world.core().epoch.present().0);
    world.pool.space().unwrap();
    assert_ne!(world.core().awaiting.lock().birth, world.core().epoch.present(), "not every commit");
    world.pool.undelete("d@s", None, world.now()).unwrap();
    assert_eq!(world.pool.space().unwrap().awaiting, 0);
}
