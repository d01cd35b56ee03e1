//! Damage keeps what it hides from being freed, and nothing else.

use crate::catalog::tests::store::*;
use crate::catalog::*;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, SlotId, SnapshotId};
use crate::reclaim::tests::world::*;
use crate::reclaim::*;
use crate::tree::{Dead, Root, Step, Visited, walk_all};

/// A dataset with a tree of several levels.
fn world() -> (World, Root) {
    let mut world = World::new(5);
    let id = world.create();
    for _ in 0..25 {
        world.write(id);
        world.commit();
    }
    let root = world.catalog.state(Holder::Head(id)).unwrap().root;
    world.catalog.destroy_dataset(id, false, at(1)).unwrap();
    world.purge(at(2));
    world.model.clear();
    world.commit();
    (world, root)
}

/// What lies beneath a node, without it.
fn beneath(store: &Store, root: &Root, id: SlotId) -> Pointers {
    let mut found = Pointers::new();
    walk_all(store, root, &mut |visited| match visited {
        Visited::Node { pointer, level, .. } if pointer.id == id => {
            found = pointers(store, &Root { pointer: Some(pointer), height: level + 1 });
            count(&mut found, &pointer.dead(), -1);
            Step::Stop
        }
        _ => Step::Into,
    });
    found
}

fn reclaim(world: &mut World, free: &mut dyn FnMut(&Dead) -> Result<()>) -> Vec<ErrorKind> {
    let mut damage = Vec::new();
    while world.catalog.has_jobs() {
        let sources = Sources { nodes: &world.store, system: &world.system };
        match step(&mut world.catalog, &mut world.sifter, sources, 1, free) {
            Ok(progress) => damage.extend(progress.damage.iter().map(Error::kind)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io),
        }
        world.commit();
    }
    damage
}

#[test]
fn a_damaged_node_hides_only_what_is_beneath() {
    let (intact, root) = world();
    let nodes: Vec<Dead> = pointers(&intact.store, &root).into_keys().filter(|pointer| pointer.is_node).collect();
    assert!(root.height == 2 && nodes.len() > 2, "{root:?}");
    for node in nodes {
        let (mut world, root) = world();
        let hidden = beneath(&world.store, &root, node.id);
        world.store.damage(node.id);
        let mut freed = Vec::new();
        let damage = reclaim(&mut world, &mut |dead| {
            freed.push(*dead);
            Ok(())
        });
        assert!(!damage.is_empty() && damage.iter().all(|kind| *kind == ErrorKind::Corrupt));
        world.forget(&freed);
        assert_eq!(world.stored, hidden);
    }
}

#[test]
fn what_the_account_refuses_is_not_freed_twice() {
    let (mut world, _) = world();
    let (mut freed, mut calls) = (Vec::new(), 0);
    let mut refused = Pointers::new();
    reclaim(&mut world, &mut |dead| {
        calls += 1;
        if calls % 7 == 0 {
            count(&mut refused, dead, 1);
            return Err(Error::new(ErrorKind::Io, "refused"));
        }
        freed.push(*dead);
        Ok(())
    });
    world.forget(&freed);
    assert!(!refused.is_empty());
    assert_eq!(world.stored, refused);
}

const DATASETS: usize = 60;

/// Datasets of most of which a snapshot in the middle is purged, and of some everything: lists to be sorted out, and lists to
/// be dropped. Some of these snapshots have a clone: lists to be sifted.
fn lists() -> World {
    let mut world = World::new(11);
    let mut ids: Vec<_> = (0..DATASETS).map(|_| world.create()).collect();
    let (before, middle) = (grow(&mut world, &ids), grow(&mut world, &ids));
    let clones = (0..DATASETS).filter(|number| has_clone(*number)).map(|number| world.clone_snapshot(middle[number]));
    let clones: Vec<_> = clones.collect();
    ids.extend(clones);
    world.commit();
    let after = grow(&mut world, &ids);
    let mut gone = Vec::new();
    for number in 0..DATASETS {
        gone.push(Holder::Snapshot(middle[number]));
        if number % 4 == 0 {
            world.catalog.destroy_dataset(ids[number], false, at(1)).unwrap();
            let all = [Holder::Head(ids[number]), Holder::Snapshot(before[number]), Holder::Snapshot(after[number])];
            gone.extend(all);
        } else {
            world.catalog.destroy_snapshot(middle[number], at(1)).unwrap();
        }
    }
    world.catalog.purge(at(2));
    gone.iter().for_each(|holder| world.model.get_mut(holder).unwrap().purged = true);
    world.commit();
    world
}

fn has_clone(number: usize) -> bool {
    number % 4 == 1 && !number.is_multiple_of(3)
}

/// Writes for some commits, and takes a snapshot of each.
fn grow(world: &mut World, ids: &[DatasetId]) -> Vec<SnapshotId> {
    for _ in 0..8 {
        ids.iter().for_each(|id| world.write(*id));
        world.commit();
    }
    let taken: Vec<_> = ids.iter().map(|id| world.snapshot(*id)).collect();
    world.commit();
    taken
}

/// Reclaims all there is, however little.
fn settle(world: &mut World, free: &mut dyn FnMut(&Dead) -> Result<()>) -> Vec<ErrorKind> {
    let mut damage = Vec::new();
    world.sifter.hurry();
    for _ in 0..100_000 {
        let sources = Sources { nodes: &world.store, system: &world.system };
        let progress = step(&mut world.catalog, &mut world.sifter, sources, 40, free).unwrap();
        damage.extend(progress.damage.iter().map(Error::kind));
        world.commit();
        if progress.idle {
            return damage;
        }
    }
    panic!("it does not end");
}

/// A leaf, and the lists and numbers of its chunks.
type LeafOfChunks = (SlotId, Vec<(u64, u64)>);

/// The leaves that hold nothing but chunks, and what is in these.
fn leaves_of_chunks(world: &World) -> Vec<LeafOfChunks> {
    let (mut leaves, mut last): (Vec<LeafOfChunks>, _) = (Vec::new(), None);
    let mut mixed = Vec::new();
    walk_all(&world.store, &world.system, &mut |visited| {
        match visited {
            Visited::Node { pointer, level: 0, .. } => {
                leaves.push((pointer.id, Vec::new()));
                last = Some(pointer.id);
            }
            Visited::Item(key, _) if key.object == 0 => mixed.extend(last),
            Visited::Item(key, _) => {
                let (_, chunks) = leaves.last_mut().unwrap();
                chunks.push((key.object, key.position));
            }
            _ => {}
        }
        Step::Into
    });
    leaves.retain(|(id, _)| !mixed.contains(id));
    leaves
}

/// Damages a leaf, and lets all go on. Returns how much was told, and how many pointers are kept.
fn go_on_past(world: &mut World, leaf: SlotId, chunks: &[(u64, u64)]) -> (usize, i64) {
    let mut named = Pointers::new();
    for (list, number) in chunks {
        let entries = world.catalog.read_chunk(&world.store, &world.system, *list, *number).unwrap();
        entries.iter().for_each(|dead| count(&mut named, dead, 1));
    }
    world.store.damage(leaf);
    let mut freed = Vec::new();
    let damage = settle(world, &mut |dead| {
        freed.push(*dead);
        Ok(())
    });
    world.forget(&freed);
    let mut needed = Pointers::new();
    world.model.values().filter(|held| !held.purged).for_each(|held| unite(&mut needed, &held.pointers));
    assert!(needed.iter().all(|(pointer, number)| world.stored.get(pointer) >= Some(number)), "freed too early");
    // What is sifted in vain is kept whole.
    let forks = world.model.iter().filter(|(holder, _)| world.catalog.state(**holder).is_ok());
    forks.for_each(|(_, held)| unite(&mut needed, &held.pointers));
    let mut kept = 0;
    for (pointer, number) in &world.stored {
        let more = number - needed.get(pointer).unwrap_or(&0);
        assert!(more <= *named.get(pointer).unwrap_or(&0), "{pointer:?} is not freed");
        kept += more;
    }
    assert_eq!(Catalog::load(&world.store, &world.system).unwrap(), world.catalog);
    (damage.len(), kept)
}

#[test]
fn a_damaged_chunk_keeps_only_what_it_names() {
    let mut intact = lists();
    let (mut told, mut kept, mut is_done) = (0, 0, false);
    while !is_done {
        for (leaf, chunks) in leaves_of_chunks(&intact) {
            let (told_now, kept_now) = go_on_past(&mut intact.copy(), leaf, &chunks);
            (told, kept) = (told + told_now, kept + kept_now);
        }
        intact.sifter.hurry();
        for _ in 0..9 {
            is_done = intact.reclaim(40).idle;
            intact.commit();
            intact.check();
        }
    }
    assert!(told > 100 && kept > 1000, "{told} told, {kept} pointers kept");
}
