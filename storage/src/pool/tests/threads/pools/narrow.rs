//! Gaps of a few steps, which histories of everything hit seldom: few threads that do little else.

use std::sync::Arc;

use crate::content::{Items, Layers};
use crate::fs::Stability;
use crate::pool::core::Core;
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};
use crate::pool::tests::threads::pools::acts::Act;
use crate::pool::tests::threads::pools::{
    BLOCK_LEN, BLOCKS, FILES, NOW, World, bytes_of, context, create, inode, run, values_of,
};
use crate::pool::tests::threads::registers::Value;
use crate::sync::{AtomicBool, Ordering};
use crate::tree::Root;

/// A reader has pinned a commit that is no later than the root that it reads, and what that reaches stays, whatever is
/// committed meanwhile.
#[test]
fn what_a_reader_has_pinned_can_be_read() {
    in_many_orders(200, |mut choices| {
        let world = World::new(&mut choices);
        let core = &world.pool.core;
        let head = core.head(core.catalog.read().resolve("d").unwrap()).unwrap();
        let (opened, is_over) = (core.epoch.present(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for value in 100..106 {
                    let bytes = bytes_of(&[value; BLOCKS]);
                    (0..FILES).for_each(|file| {
                        world.head().write(&context(false), inode(file), 0, &bytes, Stability::Unstable).unwrap();
                    });
                    core.store.account().hurry();
                    world.pool.commit(NOW).unwrap();
                }
                is_over.store(true, Ordering::Release);
            });
            scope.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    let (_pin, present) = core.view(&head).unwrap();
                    let (pinned, root) = (core.epoch.oldest(), *present.layers.root());
                    // Each commit changes the head.
                    let birth = root.pointer.unwrap().birth;
                    assert!(pinned <= opened || pinned <= birth, "pinned is {pinned:?}, and read {birth:?}");
                    let found = read_root(core, root);
                    thread::yield_now();
                    assert_eq!(read_root(core, root), found);
                }
            });
        });
    });
}

/// What is in the blocks, as a root has them on the disk.
fn read_root(core: &Core, root: Root) -> Vec<Value> {
    core.store.clear_caches();
    let layers = Layers::new(Arc::clone(&core.store), BLOCK_LEN as u32, root);
    let mut bytes = vec![0; BLOCKS * BLOCK_LEN];
    let read = |file| {
        layers.read(inode(file), 0, &mut bytes).unwrap();
        values_of(&bytes)
    };
    (0..FILES).flat_map(read).collect()
}

/// Dirty bytes of several heads add up while they are written to and committed.
#[test]
fn dirty_bytes_add_up() {
    in_many_orders(600, |mut choices| {
        let world = World::new(&mut choices);
        let other = world.pool.file_system("e").unwrap();
        let file = create(&*other, "f", false).unwrap();
        let own = split(&mut choices, 3);
        thread::scope(|scope| {
            for mut own in own {
                let (world, other) = (&world, &other);
                scope.spawn(move || {
                    for _ in 0..4 {
                        let (files, file) =
                            [(world.head(), inode(0)), (other.clone(), file)][own.below(2) as usize].clone();
                        let (offset, block) = (own.below(4) * 4096, bytes_of(&[1 + own.below(9)]));
                        match own.below(5) {
                            0 => world.pool.commit(NOW).unwrap(),
                            1 => files.sync(file).unwrap(),
                            _ => drop(files.write(&context(false), file, offset, &block, Stability::Unstable).unwrap()),
                        }
                    }
                });
            }
        });
        world.check_dirty();
    });
}

/// Nobody commits upon what a commit left that failed.
#[test]
fn a_commit_that_fails_lets_no_other_through() {
    in_many_orders(1500, |mut choices| {
        let world = World { may_fail: true, ..World::new(&mut choices) };
        world.disk.fail_flush(choices.below(4));
        run(&world, &[Act::Write, Act::Commit, Act::Commit, Act::Snapshot], &mut choices);
        world.lose_power(&mut choices);
    });
}

/// What a commit is writing back belongs to it alone, until it is done.
#[test]
fn a_commit_that_passes_another_takes_nothing_of_it() {
    in_many_orders(1000, |mut choices| {
        let world = World::new(&mut choices);
        run(&world, &[Act::Write, Act::Commit, Act::Commit, Act::MakeFile, Act::MakeFile], &mut choices);
        world.check_at_rest();
    });
}

/// Nothing is written to a head between what a rewind keeps of it and what it makes of it.
#[test]
fn a_rewind_loses_no_write() {
    in_many_orders(800, |mut choices| {
        let world = World::new(&mut choices);
        run(&world, &[Act::Write, Act::WriteStable, Act::Read, Act::Snapshot, Act::Rewind], &mut choices);
        world.check_at_rest();
    });
}

/// A commit takes nothing from readers when it puts a root in the place of what it wrote back.
#[test]
fn a_read_sees_what_a_commit_has_just_written_back() {
    in_many_orders(1000, |mut choices| {
        let world = World::new(&mut choices);
        run(&world, &[Act::Write, Act::Read, Act::Read, Act::Commit], &mut choices);
    });
}
