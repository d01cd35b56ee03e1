//! Damage keeps what it hides from being freed, and nothing else.

use crate::catalog::tests::store::*;
use crate::catalog::*;
use crate::error::{Error, ErrorKind, Result};
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
fn beneath(store: &Store, root: &Root, id: crate::format::SlotId) -> Pointers {
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
            Ok(progress) => damage.extend(progress.damage.map(|error| error.kind())),
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
