//! Nothing is freed that is needed, all else is freed once, and estimates come true.

use std::env;

use crate::catalog::tests::store::*;
use crate::catalog::*;
use crate::error::ErrorKind;
use crate::format::{DatasetId, SnapshotId};
use crate::reclaim::tests::world::*;
use crate::reclaim::*;

#[test]
fn random_histories_free_what_nobody_needs_and_nothing_else() {
    // `COW_FOREST_SEEDS` is how many.
    let seeds = env::var("COW_FOREST_SEEDS").map_or(40, |text| text.parse().expect("COW_FOREST_SEEDS is a number"));
    let mut sifted = 0;
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for _ in 0..120 {
            commit(&mut world);
            world.check();
            if world.random.below(8) == 0 {
                world.save_and_load();
            }
            if world.random.below(6) == 0 {
                check_estimate(&mut world);
            }
            if world.random.below(20) == 0 {
                world.settle();
            }
        }
        sifted += world.sifted;
        end(&mut world);
    }
    assert!(sifted > seeds / 4, "only {sifted} steps of {seeds} histories freed what several children have lost");
}

fn commit(world: &mut World) {
    if world.random.below(4) == 0 {
        reclaim_some(world);
    }
    let datasets = world.live_datasets();
    if let Some(id) = world.random.pick(&datasets)
        && world.random.below(8) > 0
    {
        world.write(id);
    }
    for _ in 0..world.random.below(3) {
        verb(world);
    }
    if world.random.below(3) == 0 {
        reclaim_some(world);
    }
    world.commit();
}

fn reclaim_some(world: &mut World) {
    let budget = [1, 20, 100, 2000][world.random.below(4) as usize];
    world.reclaim(budget);
}

fn verb(world: &mut World) {
    let (datasets, snapshots) = (world.live_datasets(), world.live_snapshots());
    let (dataset, snapshot) = (world.random.pick(&datasets), world.random.pick(&snapshots));
    match (world.random.below(30), dataset, snapshot) {
        (0, ..) | (_, None, _) => drop(world.create()),
        (1..=10, Some(id), _) => drop(world.snapshot(id)),
        (11..=14, _, Some(snapshot)) => drop(world.clone_snapshot(snapshot)),
        (15..=17, Some(id), Some(snapshot)) => rewind(world, id, snapshot),
        (18, Some(id), _) => destroy_dataset(world, id),
        (19..=22, _, Some(snapshot)) => destroy_snapshot(world, snapshot),
        (23, ..) => undelete(world),
        (24, _, Some(snapshot)) => hold(world, snapshot),
        (25..=27, ..) => {
            let before = at(world.birth.0.saturating_sub(world.random.below(8)));
            world.purge(before);
        }
        _ => {}
    }
}

fn rewind(world: &mut World, id: DatasetId, to: SnapshotId) {
    if world.model[&Holder::Snapshot(to)].dataset == id || world.catalog.ancestors(Holder::Head(id)).contains(&to) {
        world.rewind(id, to);
    } else {
        let refused = world.catalog.rewind(id, to, world.birth, world.now());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

fn is_held(world: &World, id: SnapshotId) -> bool {
    !world.catalog.snapshot_info(id).unwrap().holds.is_empty()
}

fn destroy_dataset(world: &mut World, id: DatasetId) {
    let now = world.now();
    let held = world
        .live_snapshots()
        .iter()
        .any(|snapshot| world.catalog.snapshot_info(*snapshot).unwrap().dataset == id && is_held(world, *snapshot));
    match world.catalog.destroy_dataset(id, false, now) {
        Ok(destroyed) => {
            assert!(!held);
            assert_eq!(destroyed, [id]);
            world.model.get_mut(&Holder::Head(id)).unwrap().destroyed = Some(now);
        }
        Err(error) => assert!(held && error.kind() == ErrorKind::Busy),
    }
}

fn destroy_snapshot(world: &mut World, id: SnapshotId) {
    let (now, held) = (world.now(), is_held(world, id));
    match world.catalog.destroy_snapshot(id, now) {
        Ok(()) => {
            assert!(!held);
            world.model.get_mut(&Holder::Snapshot(id)).unwrap().destroyed = Some(now);
        }
        Err(error) => assert!(held && error.kind() == ErrorKind::Busy),
    }
}

fn undelete(world: &mut World) {
    let datasets: Vec<DatasetId> = world.catalog.destroyed_datasets().iter().map(|info| info.id).collect();
    let snapshots: Vec<SnapshotId> = world.catalog.destroyed_snapshots().iter().map(|info| info.id).collect();
    if let Some(id) = world.random.pick(&datasets) {
        world.catalog.undelete_dataset(id, None).unwrap();
        world.model.get_mut(&Holder::Head(id)).unwrap().destroyed = None;
    } else if let Some(id) = world.random.pick(&snapshots) {
        let name = world.name();
        world.catalog.undelete_snapshot(id, Some(&name)).unwrap();
        world.model.get_mut(&Holder::Snapshot(id)).unwrap().destroyed = None;
    }
}

fn hold(world: &mut World, id: SnapshotId) {
    if is_held(world, id) {
        world.catalog.release_hold(id, "tag").unwrap();
    } else {
        world.catalog.hold(id, "tag").unwrap();
    }
}

/// Destroys a few things on a copy, and compares what that frees with what was foretold.
fn check_estimate(world: &mut World) {
    let (datasets, snapshots) = (world.live_datasets(), world.live_snapshots());
    let mut copy = world.catalog.clone();
    let mut targets = Vec::new();
    for _ in 0..1 + world.random.below(5) {
        if let Some(id) = world.random.pick(&snapshots)
            && copy.destroy_snapshot(id, at(0)).is_ok()
        {
            targets.push(Holder::Snapshot(id));
        }
        if let Some(id) = world.random.pick(&datasets)
            && world.random.below(3) == 0
            && copy.destroy_dataset(id, false, at(0)).is_ok()
        {
            targets.push(Holder::Head(id));
        }
    }
    let (mut foretold, mut staying) = (Pointers::new(), Pointers::new());
    let sources = Sources { nodes: &world.store, system: &world.system };
    let estimate = Estimate::new(&world.catalog, &targets).unwrap().within(POINTERS_MAX);
    let told = estimate.for_each(sources, &mut |told| {
        match told {
            Told::Goes(dead) => count(&mut foretold, dead, 1),
            Told::Stays(dead) => count(&mut staying, dead, 1),
            Told::Looked(_) => {}
        }
        Ok(true)
    });
    assert!(told.unwrap());
    staying.iter().for_each(|(dead, number)| count(&mut foretold, dead, -number));
    let anyway = world.freed_by_jobs(world.catalog.clone());
    copy.purge(at(1));
    let mut freed = world.freed_by_jobs(copy);
    anyway.iter().for_each(|(dead, number)| count(&mut freed, dead, -number));
    assert_eq!(foretold, freed);
}

/// Destroys everything: then nothing is left but the counters.
fn end(world: &mut World) {
    for id in world.live_snapshots().into_iter().filter(|id| is_held(world, *id)).collect::<Vec<_>>() {
        world.catalog.release_hold(id, "tag").unwrap();
    }
    for id in world.live_datasets() {
        destroy_dataset(world, id);
    }
    let end = at(world.birth.0 + 1);
    world.purge(end);
    while !world.reclaim(300).idle {
        world.commit();
        world.check();
    }
    world.commit();
    world.check();
    assert_eq!((world.stored.len(), world.store.count()), (0, 1));
    world.save_and_load();
}
