//! Each structure is damaged in turn, and what is told compared with what cannot be read.

use std::collections::BTreeSet;

use crate::catalog::Holder;
use crate::error::ErrorKind;
use crate::extent::{Compressor, Extent, Sealed};
use crate::format::Birth;
use crate::intent::INTENT_NAME;
use crate::media::Media;
use crate::pool::verify::tests::fixture::*;
use crate::pool::world::{World, open};
use crate::scrub::Damage;
use crate::segment::Place;
use crate::superblock::SUPERBLOCK_NAME;
use crate::tree::{ItemRef, Step, Visited, walk_all};

fn damage(world: &World) -> Vec<Damage> {
    world.core().verify(None, &mut |_, _| true).unwrap().damage
}

fn flip(world: &World, place: Place, at: u32) {
    world.disk.corrupt(&file_of(world, place.segment), u64::from(place.offset + at), 0x10).unwrap();
}

fn names(damage: &[Damage]) -> BTreeSet<String> {
    damage.iter().filter_map(|damage| damage.dataset.clone()).collect()
}

#[test]
fn what_is_told_is_what_cannot_be_read() {
    let mut world = world();
    assert_eq!(damage(&world), []);
    assert!(unreadable(&world).is_empty());
    let (mut of_nobody, mut of_the_destroyed, mut in_snapshots, mut of_nodes) = (0, 0, 0, 0);
    for piece in pieces(&world) {
        let at = world.choices.below(u64::from(piece.place.length)) as u32;
        flip(&world, piece.place, at);
        let told = damage(&world);
        let lost = unreadable(&world);
        assert!(!told.is_empty(), "{piece:?}");
        let is_told_of_nobody = told.iter().any(|damage| damage.dataset.is_none());
        let mut told_names = names(&told);
        of_the_destroyed += u32::from(told_names.remove("gone"));
        if piece.is_node {
            assert_eq!(told_names, best(&world, |name| lost.contains_key(name)), "{piece:?}: {told:?}, {lost:?}");
            of_nodes += told_names.len();
        } else {
            check_blocks(&world, &told, &lost);
        }
        assert_eq!(is_told_of_nobody, names(&told).is_empty(), "{piece:?}: {told:?}");
        of_nobody += u32::from(is_told_of_nobody);
        in_snapshots += told_names.iter().filter(|name| name.contains('@')).count();
        for damage in told.iter().filter(|damage| damage.dataset.as_deref().is_some_and(|name| name != "gone")) {
            check_path(damage, &lost);
        }
        flip(&world, piece.place, at);
        assert_eq!(damage_of(&world, &told), []);
    }
    assert!(of_nobody > 0 && of_the_destroyed > 0 && in_snapshots > 0 && of_nodes > 0);
    assert_eq!(damage(&world), []);
}

/// What is told of the datasets and snapshots that were hit, once they are not any more.
fn damage_of(world: &World, told: &[Damage]) -> Vec<Damage> {
    let names = names(told).into_iter().filter(|name| name != "gone");
    names.flat_map(|name| world.core().verify(Some(&name), &mut |_, _| true).unwrap().damage).collect()
}

/// Of each file the head has a block that is hit, or else the newest snapshot; and nothing else is told.
fn check_blocks(world: &World, told: &[Damage], lost: &Unreadable) {
    let blocks: BTreeSet<_> = lost.values().flatten().collect();
    let mut expected = BTreeSet::new();
    for block in blocks {
        let holders = best(world, |name| lost.get(name).is_some_and(|lost| lost.contains(block)));
        expected.extend(holders.into_iter().map(|name| (name, block.0.clone())));
    }
    let named = told.iter().filter(|damage| damage.dataset.as_deref() != Some("gone"));
    let found: BTreeSet<_> =
        named.filter_map(|damage| Some((damage.dataset.clone()?, damage.path.clone().unwrap()))).collect();
    assert_eq!(found, expected, "{told:?}");
}

/// What is named is hit, or something below it.
fn check_path(damage: &Damage, lost: &Unreadable) {
    let lost = &lost[damage.dataset.as_ref().unwrap()];
    let Some(path) = &damage.path else { return assert!(damage.problem.contains("inodes from 0 on"), "{damage:?}") };
    match damage.offset {
        // Where not even the size can be read, no block was tried.
        Some(_) => {
            let is_lost = [damage.offset, None].into_iter().any(|offset| lost.contains(&(path.clone(), offset)));
            assert!(is_lost, "{damage:?}: {lost:?}");
        }
        None => assert!(lost.iter().any(|(lost, _)| lost.starts_with(path.as_str())), "{damage:?}: {lost:?}"),
    }
}

#[test]
fn damaged_pages_of_the_account_are_told_or_keep_the_pool_closed() {
    let mut world = world();
    let view = world.core().committed_view().unwrap();
    let mut places = Vec::new();
    world.core().store.account().view(&view.roots.account).for_each_page(&mut |place| places.push(place)).unwrap();
    assert!(places.len() > 5, "slots, their radix node, usage, its radix node, the free log and its list");
    for place in places {
        let at = world.choices.below(u64::from(place.length)) as u32;
        flip(&world, place, at);
        let told = damage(&world);
        assert!(told.iter().any(|damage| damage.dataset.is_none()), "{place:?}: {told:?}");
        let follows = |damage: &Damage| damage.dataset.is_none() || damage.problem.contains("is lost with a page");
        assert!(told.iter().all(follows), "{place:?}: {told:?}");
        if let Err(error) = open(&std::sync::Arc::new(world.disk.duplicate())) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        }
        flip(&world, place, at);
    }
    world.disk.corrupt("superblock", (view.roots.birth.0 % 2) * (64 << 10) + 20, 1).unwrap();
    assert!(damage(&world)[0].problem.contains("superblock"));
}

/// Opening replays what was written to each dataset, and commits, so it needs much of what there is.
#[test]
fn what_keeps_a_pool_closed_is_named() {
    let mut world = world();
    for dataset in world.datasets() {
        for path in ["many/7", "small3", "deep/er/one"] {
            let inode = world.try_put(&dataset, path, 1_000, 9, 500).unwrap();
            world.pool.file_system(&dataset).unwrap().sync(inode).unwrap();
        }
    }
    let view = world.core().committed_view().unwrap();
    let place_of = |place: Place| format!("at {} in segment {:010x}", place.offset, place.segment.0);
    let mut damageable = Vec::new();
    let account = world.core().store.account().view(&view.roots.account);
    account.for_each_page(&mut |place| damageable.push((place, place_of(place)))).unwrap();
    damageable.extend(pieces(&world).iter().map(|piece| (piece.place, format!("{:?}", piece.id))));
    let mut closed = 0;
    for (place, name) in damageable {
        let disk = std::sync::Arc::new(world.disk.duplicate());
        let at = u64::from(place.offset) + world.choices.below(u64::from(place.length));
        disk.corrupt(&file_of(&world, place.segment), at, 0x10).unwrap();
        let Err(error) = open(&disk) else { continue };
        closed += 1;
        let told = format!("{error:?}");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{told}");
        assert!(told.contains(&name) && told.contains("restore its files from a copy"), "{name}: {told}");
    }
    assert!(closed > 20, "{closed}");
    for name in world.disk.list().unwrap().into_iter().filter(|name| name != SUPERBLOCK_NAME) {
        let disk = std::sync::Arc::new(world.disk.duplicate());
        disk.unlink(&name).unwrap();
        if let Err(error) = open(&disk) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error:?}");
        } else {
            assert!(name != INTENT_NAME);
        }
    }
}

#[test]
fn what_nobody_refers_to_may_rot() {
    let mut world = world();
    let mut used: BTreeSet<(u64, u64)> = BTreeSet::new();
    let view = world.core().committed_view().unwrap();
    let mut pages = pieces(&world).iter().map(|piece| piece.place).collect::<Vec<_>>();
    world.core().store.account().view(&view.roots.account).for_each_page(&mut |place| pages.push(place)).unwrap();
    let segments: Vec<_> = world.core().store.account().segments().present().into_keys().collect();
    for place in &pages {
        used.extend((place.offset..place.end()).map(|at| (place.segment.0, u64::from(at))));
    }
    for segment in segments {
        for _ in 0..200 {
            let at = world.choices.below(1 << 20);
            if !used.contains(&(segment.0, at)) {
                world.disk.corrupt(&file_of(&world, segment), at, 0xff).unwrap();
            }
        }
    }
    assert_eq!(damage(&world), []);
    assert!(unreadable(&world).is_empty());
}

/// Bytes that are whole, but not those that the tree means.
#[test]
fn an_extent_with_other_content_is_told() {
    let world = world();
    let core = world.core();
    let piece = pieces(&world).into_iter().find(|piece| !piece.is_node).unwrap();
    let mut stored = Vec::new();
    core.store.account().read_extent(piece.id, &mut stored).unwrap();
    let mut with = Compressor::new().unwrap();
    let header = Extent::open(&stored, piece.id, &mut with).unwrap().header().clone();
    let plain = crate::pool::world::content(77, header.plain_len());
    let mut other = Sealed::seal(&plain, header.block_len(), None, header.origin, &mut with);
    other.stamp(piece.id);
    let other = other.to_bytes();
    assert_eq!(other.len(), stored.len(), "it is stored raw");
    for (at, (is, was)) in other.iter().zip(&stored).enumerate() {
        let at = u64::from(piece.place.offset) + at as u64;
        world.disk.corrupt(&file_of(&world, piece.place.segment), at, is ^ was).unwrap();
    }
    let told = damage(&world);
    check_blocks(&world, &told, &unreadable(&world));
    assert!(!told.is_empty() && told.iter().all(|damage| damage.problem.contains("other blocks")), "{told:?}");
}

#[test]
fn references_are_recounted() {
    let mut world = world();
    world.settle();
    let extents: Vec<_> = pieces(&world).into_iter().filter(|piece| !piece.is_node).collect();
    let (leaked, freed) = (extents[0].id, extents[extents.len() - 1].id);
    let next = |world: &World| Birth(world.core().epoch.present().0 + 1);
    assert!(world.core().store.account().add_reference(next(&world), leaked, 0).unwrap());
    world.commit();
    let told = damage(&world);
    let expected = format!("block 0 of the extent {leaked:?} has 1 references, and 2 are counted");
    assert!(told.len() == 1 && told[0].dataset.is_none() && told[0].problem.contains(&expected), "{told:?}");

    world.core().store.account().free(next(&world), leaked, 0, 1).unwrap();
    world.core().store.account().free(next(&world), freed, 0, 1).unwrap();
    world.commit();
    let told = damage(&world);
    assert!(!told.is_empty() && told.iter().all(|damage| damage.problem.contains("and 0 are counted")), "{told:?}");
    assert!(told.iter().all(|damage| damage.dataset.is_some() && damage.path.is_some()), "{told:?}");
    for name in [world.datasets(), world.snapshots()].concat() {
        let part = world.core().verify(Some(&name), &mut |_, _| true).unwrap();
        assert_eq!(part.damage, [], "only of the whole are references known");
    }
    world.crash();
}

#[test]
fn a_list_that_has_what_is_in_use_is_told() {
    let world = world();
    let files = world.pool.file_system("c").unwrap();
    let origin = world.pool.dataset("c").unwrap().id;
    drop(files);
    let core = world.core();
    let root = core.catalog.read().state(Holder::Head(origin)).unwrap().root;
    let threshold = core.catalog.read().threshold(Holder::Head(origin));
    let mut shared = Vec::new();
    walk_all(&*core.store, &root, &mut |visited| {
        if let Visited::Item(_, ItemRef::Run(run)) = visited
            && run.birth <= threshold
        {
            shared.push(run.dead());
        }
        Step::Into
    });
    let dead = shared[shared.len() / 2];
    core.submit(Vec::new(), world.now(), move |change| change.catalog.retire(origin, &[dead], &mut |_| Ok(())))
        .unwrap();
    let told = damage(&world);
    let expected = format!("the dead list of c has {} pointers more: what is in use may be given back", dead.count);
    assert_eq!(told.iter().map(|damage| damage.problem.as_str()).collect::<Vec<_>>(), [expected]);
}

#[test]
fn it_stops_when_told_to() {
    let world = world();
    let whole = world.core().verify(None, &mut |_, _| true).unwrap();
    for calls in [0, 1, 3] {
        let mut left = calls;
        let part = world.core().verify_by_windows(None, 1, &mut |_, _| {
            left -= 1;
            left >= 0
        });
        assert_eq!(left, -1, "it goes on after it was told to stop");
        let part = part.unwrap();
        assert!(part.objects < whole.objects && part.damage.is_empty());
    }
}
