//! Both slots are lost after a crash at any operation, and the copies have what the slots had.

use std::sync::Arc;

use crate::catalog::PropertyChange;
use crate::error::{ErrorKind, Result};
use crate::format::{InodeNumber, PoolId, Timestamp};
use crate::media::{Choices, Media, Simulator};
use crate::pool::world::{World, content, context, open};
use crate::pool::{Listing, NewPool, Pool};
use crate::superblock::{SLOT_LEN, SUPERBLOCK_NAME, Superblock};

/// From one slot to the other.
const SLOT_DISTANCE: u64 = 64 << 10;

/// A disk writes so many bytes or none of them.
const SECTOR: usize = 512;

fn media(disk: &Arc<Simulator>) -> Arc<dyn Media> {
    Arc::clone(disk) as _
}

/// Damages both slots, or takes the file away.
fn destroy(disk: &Simulator, choices: &mut Choices) {
    if choices.below(4) == 0 {
        disk.unlink(SUPERBLOCK_NAME).unwrap();
        return disk.sync_directory().unwrap();
    }
    for slot in [0, SLOT_DISTANCE] {
        // An empty slot has nothing to damage.
        disk.corrupt(SUPERBLOCK_NAME, slot + choices.below(SLOT_LEN as u64), 1 << choices.below(8)).unwrap();
    }
}

/// All names, and what is in each tree.
fn describe(pool: &Pool) -> Listing {
    let names: Vec<String> = pool.list().unwrap().datasets.into_iter().map(|info| info.name).collect();
    for name in names {
        pool.snapshot(&[(&name, "now")], Timestamp::default()).unwrap();
    }
    pool.list().unwrap()
}

/// What the pool does while the power goes: each kind of thing that a commit can have in it.
fn act(world: &World, datasets: &[String]) -> Result<()> {
    let (pool, now) = (&world.pool, world.now());
    for (number, dataset) in (0..).zip(datasets) {
        world.try_put(dataset, "a/b", number * 5_000, 100 + number, 70_000)?;
        sync_file(world, dataset, number)?;
    }
    pool.commit(now)?;
    pool.snapshot(&[(&datasets[0], "before")], now)?;
    world.try_put(&datasets[0], "c", 0, 7, 300_000)?;
    pool.clone_snapshot(&format!("{}@before", datasets[0]), "clone", &PropertyChange::default(), now)?;
    world.try_put("clone", "d", 0, 8, 20_000)?;
    sync_file(world, "clone", 9)?;
    pool.destroy("clone", false, now)?;
    pool.purge(Timestamp { seconds: now.seconds + 1, nanoseconds: 0 }, now)?;
    pool.reclaim_step(100, now)?;
    pool.clean_step(1 << 20, now)?;
    (0..4).try_for_each(|_| pool.commit(now))
}

/// Leaves something in the log.
fn sync_file(world: &World, dataset: &str, number: u64) -> Result<()> {
    let inode = world.try_put(dataset, "synced", 0, number, 9_000)?;
    world.pool.file_system(dataset)?.sync(inode)
}

#[derive(Default)]
struct Tally {
    same: u64,
    next: u64,
    passed_over: u64,
}

/// Loses both slots of a disk, and compares what comes back with what they had.
fn lose_and_recover(disk: &Arc<Simulator>, choices: &mut Choices, tally: &mut Tally) {
    let [even, odd] = Superblock::both(&**disk).unwrap();
    let newest = even.into_iter().chain(odd).map(|slot| slot.commit).max().unwrap();
    let lost = Arc::new(disk.duplicate());
    destroy(&lost, choices);
    assert!(Pool::superblock_is_lost(&media(&lost)).unwrap());
    let new = NewPool { id: PoolId([9; 16]), secret: [9; 32], segment_size: 1 << 20, intent_size: 1 << 20 };
    assert!(Pool::create(&media(&lost), &new).is_err(), "what lost its superblock is no place for a pool");
    let found = Pool::recover_superblock(&media(&lost)).unwrap_or_else(|error| panic!("commit {newest}: {error:?}"));
    let again = Pool::recover_superblock(&media(&lost)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Invalid, "a whole slot is left alone");
    // It is durable at once.
    let lost = Arc::new(lost.crash(&mut |limit| choices.below(limit)));
    let pool = open(&lost).unwrap();
    let report = pool.verify(None, &mut |_, _| true).unwrap();
    assert!(report.damage.is_empty(), "{found:?}: {report:#?}");
    tally.passed_over += found.passed_over.len() as u64;
    assert!(found.passed_over.len() <= 1, "{found:?}");
    if found.commit == newest {
        tally.same += 1;
        assert_eq!(describe(&pool), describe(&open(&Arc::new(disk.duplicate())).unwrap()));
    } else {
        // All of it was there but its slot.
        tally.next += 1;
        assert!(found.commit > newest, "{found:?}");
    }
}

#[test]
fn after_a_crash_at_any_operation_the_copies_have_what_the_slots_had() {
    let mut tally = Tally::default();
    for seed in 0..4 {
        for operations in 0.. {
            let mut world = World::new(seed);
            world.crashes = seed % 2 == 0;
            (0..3).for_each(|_| world.create_dataset());
            (0..60).for_each(|_| world.step());
            let datasets = world.datasets();
            world.disk.set_fuse(Some(operations));
            let acted = act(&world, &datasets);
            let mut choices = Choices::new(operations);
            let disk = Arc::new(world.disk.crash(&mut |limit| choices.below(limit)));
            lose_and_recover(&disk, &mut choices, &mut tally);
            // And again, should the power go while it is opened.
            disk.set_fuse(Some(choices.below(20)));
            drop(open(&disk));
            let disk = Arc::new(disk.crash(&mut |limit| choices.below(limit)));
            lose_and_recover(&disk, &mut choices, &mut tally);
            if acted.is_ok() {
                break;
            }
        }
    }
    let Tally { same, next, passed_over } = tally;
    assert!(same > 50 && next > 5 && passed_over > 5, "{same} as the slots, {next} newer, {passed_over} torn");
}

/// The files of segments that differ, and where: in sectors, for a disk writes a sector or none of it.
fn changed_sectors(before: &Simulator, after: &Simulator) -> Vec<(String, u64)> {
    let mut changed = Vec::new();
    let names = after.list().unwrap().into_iter();
    for name in names.filter(|name| name.starts_with("data-") || name.starts_with("node-")) {
        let [old, new] = [before, after].map(|disk| {
            let Ok(file) = disk.open(&name) else { return Vec::new() };
            let mut bytes = vec![0; file.length().unwrap() as usize];
            file.read_at(&mut bytes, 0).unwrap();
            bytes
        });
        let differs = |at: &usize| old.get(*at..at + SECTOR) != new.get(*at..at + SECTOR);
        changed.extend((0..new.len()).step_by(SECTOR).filter(differs).map(|at| (name.clone(), at as u64)));
    }
    changed
}

#[test]
fn a_commit_that_lacks_a_sector_is_passed_over_and_the_log_has_what_it_had() {
    let (mut taken, mut passed_over) = (0, 0);
    for seed in 0..3 {
        let mut world = World::new(seed);
        world.crashes = false;
        (0..2).for_each(|_| world.create_dataset());
        (0..80).for_each(|_| world.step());
        world.create_dataset();
        let datasets = world.datasets();
        datasets.iter().for_each(|dataset| sync_file(&world, dataset, 1).unwrap());
        // Twice, so that the log has room: what comes now is to be one commit.
        (0..2).for_each(|_| world.commit());
        let (before, commits) = (world.disk.duplicate(), world.pool.counters().commits);
        for (number, dataset) in (0..).zip(&datasets) {
            sync_file(&world, dataset, 40 + number).unwrap();
        }
        world.pool.clean_step(1 << 20, world.now()).unwrap();
        world.commit();
        assert_eq!(world.pool.counters().commits, commits + 1);
        let after = world.disk.duplicate();
        let mut choices = Choices::new(seed);
        for (name, at) in changed_sectors(&before, &after) {
            let disk = Arc::new(after.duplicate());
            destroy(&disk, &mut choices);
            disk.corrupt(&name, at + choices.below(SECTOR as u64), 1 << choices.below(8)).unwrap();
            let found =
                Pool::recover_superblock(&media(&disk)).unwrap_or_else(|error| panic!("{name} {at}: {error:?}"));
            let pool = open(&disk).unwrap_or_else(|error| panic!("{name} {at}: {found:?}: {error:?}"));
            let report = pool.verify(None, &mut |_, _| true).unwrap();
            assert!(report.damage.is_empty(), "{name} {at}: {found:?}: {report:#?}");
            for (number, dataset) in (0..).zip(&datasets) {
                let files = pool.file_system(dataset).unwrap();
                let found = files.lookup(&context(), InodeNumber::ROOT, b"synced").unwrap();
                let mut bytes = vec![0; 9_000];
                files.read(&context(), found.inode, 0, &mut bytes).unwrap();
                assert_eq!(bytes, content(40 + number, 9_000));
            }
            match found.passed_over.len() {
                0 => taken += 1,
                _ => passed_over += 1,
            }
        }
    }
    assert!(passed_over > 100, "{passed_over} passed over, {taken} taken");
}
