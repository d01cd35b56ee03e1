//! The index in its file: cut, torn, damaged, foreign, older than the pool, and without room.

use crate::dedup::saved::{SAVED_NAME, UNFINISHED_NAME};
use crate::dedup::tests::{Stored, blocks};
use crate::dedup::{Finder, codec};
use crate::error::ErrorKind;
use crate::format::{Birth, Checksum, PoolId, SegmentId, SlotId};
use crate::media::{Choices, Media, Simulator};

const POOL: PoolId = PoolId([7; 16]);
const BUDGET: u64 = 16 << 10;

/// A finder that remembers `count` blocks, which are the same ones every time.
fn remembering(count: u64) -> Finder {
    let finder = Finder::new(BUDGET);
    (0..count).for_each(|number| finder.remember(SlotId(number), &[hash(number)]));
    finder
}

/// A hash that is sampled.
fn hash(number: u64) -> Checksum {
    let mut hash = Checksum::of(&number.to_le_bytes());
    hash.0[0] = 0;
    hash
}

/// How many blocks a finder knows that takes in what is on a disk; and it knows nothing wrong.
fn known(disk: &Simulator, pool: PoolId) -> u64 {
    let finder = Finder::new(BUDGET);
    finder.recall_later(disk, pool);
    finder.recall();
    let index = finder.index.lock();
    let known = (0..100).filter(|number| index.get(&hash(*number)) == Some(SlotId(*number))).count();
    assert_eq!(known, index.used(), "what nobody remembered is there");
    known as u64
}

fn saved(count: u64) -> Simulator {
    let disk = Simulator::new();
    remembering(count).save(&disk, POOL, 0).unwrap();
    disk.sync_directory().unwrap();
    disk
}

fn length(disk: &Simulator) -> u64 {
    disk.open(SAVED_NAME).unwrap().length().unwrap()
}

#[test]
fn wherever_saving_ends_the_old_index_or_the_new_one_is_there() {
    for operations in 0.. {
        let disk = saved(20).duplicate().with_fuse(operations);
        let done = remembering(30).save(&disk, POOL, 0);
        for torn_at in (0..=length(&disk) as usize).step_by(8) {
            let found = known(&disk.tear(|_| torn_at), POOL);
            assert!(found == 30 || (found == 20 && done.is_err()), "{found} after {operations}, torn at {torn_at}");
        }
        for seed in 0..20 {
            let mut choices = Choices::new(seed);
            let found = known(&disk.crash(&mut |limit| choices.below(limit)), POOL);
            assert!(found == 30 || found == 20, "{found} after {operations}, seed {seed}");
        }
        if done.is_ok() {
            assert_eq!(disk.list().unwrap(), [SAVED_NAME]);
            return;
        }
    }
}

#[test]
fn a_file_that_is_damaged_anywhere_is_as_good_as_none() {
    let whole = saved(20);
    let entries_end = 64 + 20 * 16;
    assert_eq!(length(&whole), 4096);
    for at in 0..4096 {
        let disk = whole.duplicate();
        disk.corrupt(SAVED_NAME, at, 1 << (at % 8)).unwrap();
        assert_eq!(known(&disk, POOL), if at < entries_end { 0 } else { 20 }, "byte {at}");
        let disk = whole.duplicate();
        disk.open(SAVED_NAME).unwrap().truncate(at).unwrap();
        assert_eq!(known(&disk, POOL), if at < entries_end { 0 } else { 20 }, "{at} bytes");
    }
    assert_eq!(known(&whole, PoolId([8; 16])), 0, "it is another pool's");
    let unreadable = whole.duplicate();
    unreadable.fail_read(0);
    assert_eq!(known(&unreadable, POOL), 0);
    // Whatever it was, the next one takes its place.
    let disk = whole.duplicate();
    disk.corrupt(SAVED_NAME, 8, 2).unwrap();
    remembering(30).save(&disk, POOL, 0).unwrap();
    assert_eq!(known(&disk, POOL), 30);
}

#[test]
fn of_a_large_file_the_chunks_before_the_damage_are_taken_in() {
    let per_chunk = codec::ENTRIES_MAX;
    let budget = 64 * per_chunk as u64;
    let finder = Finder::new(budget);
    let count = 2 * per_chunk as u64 + 5000;
    (0..count).for_each(|number| finder.remember(SlotId(number), &[hash(number)]));
    let used = finder.index.lock().used();
    let disk = Simulator::new();
    finder.save(&disk, POOL, 0).unwrap();
    assert!(used > 2 * per_chunk);
    for (damaged, expected) in [(None, used), (Some(2), 2 * per_chunk), (Some(1), per_chunk), (Some(0), 0)] {
        let disk = disk.duplicate();
        damaged.iter().for_each(|chunk| disk.corrupt(SAVED_NAME, chunk * codec::CHUNK_LEN as u64 + 70, 1).unwrap());
        let again = Finder::new(budget);
        again.recall_later(&disk, POOL);
        again.recall();
        assert_eq!(again.index.lock().used(), expected);
    }
}

#[test]
fn the_file_never_takes_the_last_of_the_host_and_gives_way() {
    let disk = Simulator::new();
    let room = |bytes: u64| disk.set_capacity(Some(disk.space().unwrap().total - disk.space().unwrap().free + bytes));
    let finder = remembering(20);
    room(8 * 4096 + 999);
    finder.save(&disk, POOL, 1000).unwrap();
    assert!(disk.list().unwrap().is_empty(), "it would take more than an eighth");
    assert!(!finder.give_up_saved(&disk));
    room(8 * 4096 + 1000);
    finder.save(&disk, POOL, 1000).unwrap();
    assert_eq!(known(&disk, POOL), 20);

    let finder = Finder::new(BUDGET);
    finder.recall_later(&disk, POOL);
    assert!(finder.give_up_saved(&disk));
    assert!(disk.list().unwrap().is_empty() && !finder.give_up_saved(&disk));
    disk.set_capacity(None);
    finder.save(&disk, POOL, 1000).unwrap();
    assert_eq!(known(&disk, POOL), 20, "what it had stayed in memory");
}

#[test]
fn it_is_written_only_when_something_is_new_and_in_the_background_only_when_much_is() {
    let disk = saved(20);
    let finder = Finder::new(BUDGET);
    finder.recall_later(&disk, POOL);
    let writes = |act: &dyn Fn()| {
        let before = disk.operations();
        act();
        disk.operations() - before
    };
    assert_eq!(writes(&|| finder.save(&disk, POOL, 0).unwrap()), 0);
    let due = BUDGET / 16 / 64;
    (20..20 + due).for_each(|number| finder.remember(SlotId(number), &[hash(number)]));
    assert_eq!(writes(&|| finder.save_when_due(&disk, POOL, 0).unwrap()), 0);
    finder.remember(SlotId(20 + due), &[hash(20 + due)]);
    disk.set_fuse(Some(2));
    assert_eq!(finder.save_when_due(&disk, POOL, 0).unwrap_err().kind(), ErrorKind::Io);
    disk.set_fuse(None);
    assert_eq!(writes(&|| finder.save_when_due(&disk, POOL, 0).unwrap()), 0, "it was tried");
    assert_ne!(writes(&|| finder.save(&disk, POOL, 0).unwrap()), 0);
    assert_eq!(known(&disk, POOL), 21 + due);
    assert!(!disk.list().unwrap().contains(&UNFINISHED_NAME.to_owned()));
}

/// A file from before a crash, or garbage that happens to be whole, names blocks that died, extents that are gone, and what
/// never was.
#[test]
fn what_a_file_tells_of_that_is_gone_is_no_hit_and_no_error() {
    let choices = &mut Choices::new(3);
    let mut stored = Stored::new(1 << 20);
    let (gone, dying, living) = (blocks(choices, 320), blocks(choices, 100), blocks(choices, 100));
    let mut freed = stored.store(&gone);
    // Every other block of an extent that lives on.
    freed.extend(stored.store(&dying).into_iter().step_by(2));
    stored.store(&living);
    let nonsense = [SlotId(u64::MAX), SlotId(0), SlotId::new(SegmentId(0), 1 << 17), SlotId::new(SegmentId(99), 3)];
    let strange = blocks(choices, 64);
    for (number, block) in strange.iter().enumerate() {
        stored.finder.remember(nonsense[number % 4], &[Checksum::of(block)]);
    }
    stored.commit();
    stored.finder.save(&*stored.disk, POOL, 0).unwrap();
    freed.iter().for_each(|(id, index)| stored.account.free(stored.birth, *id, *index, 1).unwrap());
    let segments = stored.account.segments().present().len();
    for _ in 0..4 {
        stored.account.hurry();
        stored.commit();
        stored.account.reclaim(Birth(stored.birth.0 - 1), Birth(u64::MAX)).unwrap();
    }
    assert!(stored.account.segments().present().len() < segments, "a segment is gone");

    stored.finder = Finder::new(1 << 20);
    stored.finder.recall_later(&*stored.disk, POOL);
    for lost in [gone, strange] {
        assert!(stored.find(&lost).iter().all(Option::is_none));
    }
    let found = stored.find(&dying);
    assert!(found.iter().step_by(2).all(Option::is_none), "these died");
    assert!(found.iter().flatten().count() >= 40, "and these did not");
    let hits = stored.find(&living).iter().flatten().count();
    assert!(hits >= 90, "{hits} of 100 blocks are found as before");
}
