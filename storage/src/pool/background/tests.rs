//! Damage is told, and keeps nobody from what others have to do.

use crate::catalog::{Compression, Holder, Properties};
use crate::format::{SlotId, Timestamp};
use crate::pool::world::{World, open};
use crate::scrub::Damage;
use crate::tree::{Root, Step, Visited, walk_all};

const BLOCK_LEN: u64 = 4096;
const BLOCKS: u64 = 3_000;
const FILE_LEN: usize = (BLOCKS * BLOCK_LEN) as usize;

/// A dataset with two snapshots between which every block was overwritten, and most again since; and another one.
fn world() -> World {
    let world = World::new(1);
    let blocks = BLOCK_LEN as u32;
    let (compression, dedup) = (Compression::Off, false);
    let properties =
        Properties { block_size: blocks, extent_size: blocks, compression, dedup, ..Properties::default() };
    for name in ["d", "e"] {
        world.pool.create_dataset(name, &properties, world.now()).unwrap();
        world.put(name, "file", 0, 2, FILE_LEN);
    }
    for (number, snapshot, length) in [(4, "one", FILE_LEN), (6, "two", FILE_LEN / 3 * 2)] {
        world.pool.snapshot(&[("d", snapshot)], world.now()).unwrap();
        world.put("d", "file", 0, number, length);
        world.commit();
    }
    world
}

fn damage_node(world: &World, id: SlotId) {
    let place = world.core().store.account().lookup(id).unwrap().unwrap().place;
    let name = format!("node-{:010x}", place.segment.0);
    world.disk.corrupt(&name, u64::from(place.offset) + 100, 1).unwrap();
    world.core().store.clear_caches();
}

/// The leaves of the pool's own tree that have only dead lists.
fn leaves_of_lists(world: &World) -> Vec<SlotId> {
    let (mut leaves, mut mixed, mut last) = (Vec::new(), Vec::new(), None);
    let system: Root = world.core().committed_view().unwrap().roots.system;
    walk_all(&*world.core().store, &system, &mut |visited| {
        match visited {
            Visited::Node { pointer, level: 0, .. } => {
                last = Some(pointer.id);
                leaves.push(pointer.id);
            }
            Visited::Item(key, _) if key.object == 0 => mixed.extend(last),
            _ => {}
        }
        Step::Into
    });
    leaves.retain(|leaf| !mixed.contains(leaf));
    leaves
}

/// Works off all jobs, and returns the damage that was told.
fn reclaim(world: &World) -> Vec<Damage> {
    let mut damage = Vec::new();
    for _ in 0..10_000 {
        let progress = world.pool.reclaim_step(200, world.now()).unwrap();
        damage.extend(progress.damage);
        if progress.idle {
            return damage;
        }
    }
    panic!("it does not end");
}

#[test]
fn a_damaged_dead_list_is_told_and_keeps_only_its_own() {
    let count = leaves_of_lists(&world()).len();
    assert!(count > 3, "{count}");
    let (mut of_jobs, mut of_commits) = (0, 0);
    for number in 0..count {
        let world = world();
        damage_node(&world, leaves_of_lists(&world)[number]);
        // What is overwritten goes on the list of the head, which may end in the damaged node.
        (0..BLOCKS).rev().step_by(20).take(40).for_each(|block| world.put("d", "file", block * BLOCK_LEN, 9, 4096));
        world.commit();
        let mut damage = reclaim(&world);
        of_commits += damage.len();
        assert!(damage.iter().all(|damage| damage.dataset.as_deref() == Some("d")), "{damage:?}");
        for name in ["d@two", "e"] {
            world.pool.destroy(name, false, world.now()).unwrap();
        }
        world.pool.purge(Timestamp { seconds: i64::MAX, nanoseconds: 0 }, world.now()).unwrap();
        let before = world.pool.space().unwrap().live;
        let of_jobs_now = reclaim(&world);
        of_jobs += of_jobs_now.len();
        damage.extend(of_jobs_now);
        for _ in 0..4 {
            world.core().store.account().hurry();
            world.commit();
        }
        let after = world.pool.space().unwrap().live;
        assert!(after + FILE_LEN as u64 <= before, "{number}: {before} bytes were live, and now {after}");
        assert!(damage.iter().all(|damage| damage.problem.contains("its space")), "{damage:?}");
        let again = open(&world.disk).unwrap();
        assert!(!again.verify(None, &mut |_, _| true).unwrap().damage.is_empty());
    }
    assert!(of_jobs > 1 && of_commits > 0, "{of_jobs} of jobs, {of_commits} of commits");
}

#[test]
fn a_tree_whose_orphans_cannot_be_found_is_told_and_holds_nobody_up() {
    let world = world();
    let dataset = world.pool.dataset("e").unwrap().id;
    let head = world.core().head(Holder::Head(dataset)).unwrap();
    damage_node(&world, world.core().catalog.read().state(Holder::Head(dataset)).unwrap().root.pointer.unwrap().id);
    head.set_reap_due(true);
    world.pool.destroy("d@one", false, world.now()).unwrap();
    world.pool.purge(Timestamp { seconds: i64::MAX, nanoseconds: 0 }, world.now()).unwrap();
    let told = reclaim(&world);
    assert!(told.len() == 1 && told[0].dataset.as_deref() == Some("e"), "{told:?}");
    assert!(!world.core().catalog.read().has_jobs());
}
