//! What is dead in the middle of segments comes back, and nothing else goes with it, wherever the power goes.

use std::sync::Arc;

use crate::catalog::{Compression, Properties};
use crate::error::{ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::{NewObject, Stability};
use crate::media::{Choices, Media, Simulator};
use crate::pool::Pool;
use crate::pool::world::{World, context, make, open};
use crate::superblock::{SUPERBLOCK_NAME, Superblock};

/// Bytes from one superblock slot to the other.
const SLOT_DISTANCE: u64 = 64 << 10;
const FILE_LEN: usize = 330_000;
const FILES: u64 = 12;

/// Which files die first: of each three one, so that segments stay more than half alive.
fn dies(number: u64) -> bool {
    number % 3 == 1
}

fn name(number: u64) -> String {
    format!("f{number}")
}

fn content(number: u64) -> Vec<u8> {
    let mut choices = Choices::new(number);
    (0..FILE_LEN).map(|_| choices.below(256) as u8).collect()
}

fn remove(pool: &Pool, doomed: impl Fn(u64) -> bool) -> Result<()> {
    let files = pool.file_system("d")?;
    let mut doomed = (0..FILES).filter(|number| doomed(*number));
    doomed.try_for_each(|number| files.remove(&context(), InodeNumber::ROOT, name(number).as_bytes()).map(drop))
}

/// A pool with files, each committed by itself.
fn pool_with_files() -> World {
    let mut world = World::new(1);
    world.crashes = false;
    let raw = Properties { compression: Compression::Off, ..Properties::default() };
    world.pool.create_dataset("d", &raw, world.now()).unwrap();
    let files = world.pool.file_system("d").unwrap();
    for number in 0..FILES {
        let inode = make(&*files, InodeNumber::ROOT, &name(number), NewObject::Regular { exclusive: None });
        files.write(&context(), inode, 0, &content(number), Stability::Unstable).unwrap();
        world.commit();
    }
    world
}

/// All that lives is there and whole.
fn check(pool: &Pool, lives: impl Fn(u64) -> bool) {
    let files = pool.file_system("d").unwrap();
    for number in (0..FILES).filter(|number| lives(*number)) {
        let found = files.lookup(&context(), InodeNumber::ROOT, name(number).as_bytes()).unwrap();
        let mut bytes = vec![0; FILE_LEN];
        files.read(&context(), found.inode, 0, &mut bytes).unwrap();
        assert!(bytes == content(number), "file {number}");
    }
    assert_eq!(pool.verify(None, &mut |_, _| true).unwrap().damage, []);
}

/// The disk with the newer slot lost.
fn without_newest(disk: &Simulator) -> Simulator {
    let disk = disk.duplicate();
    if let [Some(even), Some(odd)] = Superblock::both(&disk).unwrap() {
        disk.corrupt(SUPERBLOCK_NAME, u64::from(odd.commit > even.commit) * SLOT_DISTANCE, 1).unwrap();
    }
    disk
}

fn used(disk: &Simulator) -> u64 {
    let space = disk.space().unwrap();
    space.total - space.free
}

#[test]
fn dead_stretches_come_back_once_and_their_segments_go_when_they_empty() {
    let world = pool_with_files();
    remove(&world.pool, dies).unwrap();
    world.settle();
    let (before, host) = (world.pool.space().unwrap(), used(&world.disk));
    let step = world.pool.clean_step(64 << 20, world.now()).unwrap();
    assert!(step.done >= 3 * (256 << 10), "{} bytes", step.done);
    let after = world.pool.space().unwrap();
    assert_eq!((before.stored - after.stored, host - used(&world.disk)), (step.done, step.done));
    assert_eq!(before.live, after.live);
    let operations = world.disk.operations();
    let again = world.pool.clean_step(64 << 20, world.now()).unwrap();
    assert!(again.idle && again.done == 0 && world.disk.operations() == operations, "nobody looks again");
    check(&world.pool, |number| !dies(number));

    // After an opening one look is enough, and what was given back is not forgotten.
    world.pool.close(world.now()).unwrap();
    let mut world = world;
    world.pool = open(&world.disk).unwrap();
    let opened = world.pool.space().unwrap();
    assert!(opened.stored - after.stored < 8 << 20, "{} and {}", opened.stored, after.stored);
    world.commit();
    while !world.pool.clean_step(1, world.now()).unwrap().idle {}

    // What is left dies but for two files, so that segments with stretches are emptied.
    let segments = world.core().store.account().segments().present();
    remove(&world.pool, |number| !dies(number) && number > 3).unwrap();
    world.settle();
    for _ in 0..6 {
        while !world.pool.clean_step(64 << 20, world.now()).unwrap().idle {}
        world.settle();
    }
    check(&world.pool, |number| !dies(number) && number <= 3);
    let left = world.core().store.account().segments().present();
    let gone = segments.keys().filter(|segment| !left.contains_key(segment)).count();
    assert!(gone > 3, "{segments:?} and {left:?}");
}

/// The power goes at each operation from when files are removed until what they held is given back; either slot opens whole.
#[test]
fn wherever_the_power_goes_nothing_that_lives_is_given_back() {
    let (world, mut given) = (pool_with_files(), 0);
    let now = world.now();
    for operations in 0.. {
        let disk = Arc::new(world.disk.duplicate());
        let pool = open(&disk).unwrap();
        disk.set_fuse(Some(operations));
        let mut act = || {
            remove(&pool, dies)?;
            for _ in 0..4 {
                pool.core.store.account().hurry();
                pool.core.commit(now)?;
                given += pool.clean_step(64 << 20, now)?.done;
            }
            Ok(())
        };
        let done: Result<()> = act();
        for seed in 0..3 {
            let mut choices = Choices::new(seed);
            let disk = match seed {
                0 => disk.duplicate(),
                _ => disk.crash(&mut |limit| choices.below(limit)),
            };
            check(&open(&Arc::new(without_newest(&disk))).unwrap(), |number| !dies(number));
            check(&open(&Arc::new(disk)).unwrap(), |number| !dies(number));
        }
        match done {
            Ok(()) => break,
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned), "{error:?}"),
        }
    }
    assert!(given > 3 * (256 << 10), "{given} bytes");
}

/// Somebody reads for long while nothing else happens; commits go on after that until all is given back.
#[test]
fn a_pool_at_rest_gives_back_what_a_reader_kept() {
    let world = pool_with_files();
    let reader = world.core().epoch.pin();
    remove(&world.pool, dies).unwrap();
    (0..6).for_each(|_| world.commit());
    drop(reader);
    let host = used(&world.disk);
    for _ in 0..6 {
        world.commit();
        world.pool.clean_step(64 << 20, world.now()).unwrap();
    }
    let given = host - used(&world.disk);
    assert!(given > 3 * (256 << 10), "{given} bytes");
    let commits = world.pool.counters().commits;
    (0..6).for_each(|_| world.commit());
    assert!(world.pool.counters().commits <= commits + 3, "then it is at rest");
    check(&world.pool, |number| !dies(number));
}

/// Much is dead, but nowhere much together: a step looks once.
#[test]
fn segments_without_long_dead_stretches_are_looked_through_once() {
    let world = World::new(1);
    let raw = Properties { compression: Compression::Off, ..Properties::default() };
    world.pool.create_dataset("d", &raw, world.now()).unwrap();
    let files = world.pool.file_system("d").unwrap();
    for number in 0..100 {
        let inode = make(&*files, InodeNumber::ROOT, &name(number), NewObject::Regular { exclusive: None });
        files.write(&context(), inode, 0, &content(number)[..40_000], Stability::Unstable).unwrap();
    }
    world.commit();
    for number in (0..100).filter(|number| dies(*number)) {
        files.remove(&context(), InodeNumber::ROOT, name(number).as_bytes()).unwrap();
    }
    world.settle();
    let operations = world.disk.operations();
    let looks = (0..20).take_while(|_| !world.pool.clean_step(1, world.now()).unwrap().idle).count();
    assert!((2..6).contains(&looks), "{looks} looks at so few segments");
    assert_eq!(world.disk.operations(), operations, "nothing was given back");
}

/// Random histories with many steps of cleaning; after each the pool opens with either slot.
#[test]
fn random_histories_stay_whole_while_dead_stretches_come_back() {
    let mut given = 0;
    for seed in 0..12 {
        let mut world = World::new(seed + 900);
        for _ in 0..220 {
            world.step();
            if world.choices.below(6) > 0 {
                continue;
            }
            for _ in 0..world.choices.below(3) {
                world.core().store.account().hurry();
                world.commit();
            }
            let before = world.pool.space().unwrap().stored;
            world.pool.clean_step(4 << 20, world.now()).unwrap();
            given += before.saturating_sub(world.pool.space().unwrap().stored);
            for disk in [world.disk.duplicate(), without_newest(&world.disk)] {
                let Ok(pool) = open(&Arc::new(disk)) else { continue };
                assert_eq!(pool.verify(None, &mut |_, _| true).unwrap().damage, []);
            }
        }
    }
    assert!(given > 1 << 20, "{given} bytes were given back");
}
