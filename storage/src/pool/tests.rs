//! The shortest stories of a whole pool. Random histories are in the outer tests.

mod threads;

use std::sync::Arc;

use crate::catalog::{Compression, Properties, PropertyChange};
use crate::error::ErrorKind;
use crate::executor::{Executor, Inline};
use crate::format::{InodeNumber, PoolId, Timestamp};
use crate::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use crate::media::{Choices, Media, Simulator};
use crate::pool::world::content;
use crate::pool::{Budgets, NewPool, Pool};
use crate::superblock::{SUPERBLOCK_NAME, Superblock};
use crate::sync::Mutex;

const NOW: Timestamp = Timestamp { seconds: 100, nanoseconds: 0 };

fn context() -> Context {
    Context { now: NOW, caller: Caller::Superuser, durable: true, call: None }
}

fn new_pool(disk: &Arc<dyn Media>) -> Pool {
    let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size: 1 << 20, intent_size: 1 << 20 };
    Pool::create(disk, &new).unwrap();
    open(disk)
}

fn open(disk: &Arc<dyn Media>) -> Pool {
    Pool::open(Arc::clone(disk), Arc::new(Inline), Budgets::default(), 7, NOW).unwrap()
}

fn write(files: &dyn FileSystem, name: &str, bytes: &[u8]) {
    let inode = match files.lookup(&context(), InodeNumber::ROOT, name.as_bytes()) {
        Ok(found) => found.inode,
        Err(_) => {
            let (new, initial) = (NewObject::Regular { exclusive: None }, AttributeChange::default());
            files.create(&context(), InodeNumber::ROOT, name.as_bytes(), &new, 0o644, &initial).unwrap().object.inode
        }
    };
    files.write(&context(), inode, 0, bytes, Stability::Unstable).unwrap();
    files.sync(inode).unwrap();
}

fn read(files: &dyn FileSystem, name: &str) -> Vec<u8> {
    let found = files.lookup(&context(), InodeNumber::ROOT, name.as_bytes()).unwrap();
    let mut bytes = vec![0; found.size as usize];
    assert_eq!(files.read(&context(), found.inode, 0, &mut bytes).unwrap().length, bytes.len());
    bytes
}

/// Damages the slot of the newest commit.
fn lose_newest_slot(disk: &Simulator) {
    let slots = Superblock::both(disk).unwrap().map(|slot| slot.unwrap().commit);
    disk.corrupt(SUPERBLOCK_NAME, if slots[0] > slots[1] { 0 } else { 64 << 10 }, 1).unwrap();
}

/// Damages all copies of superblocks among the nodes.
fn lose_copies(disk: &Simulator) {
    for name in disk.list().unwrap().into_iter().filter(|name| name.starts_with("node-")) {
        let file = disk.open(&name).unwrap();
        let mut bytes = vec![0; file.length().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        let copies = (0..bytes.len()).step_by(512).filter(|at| bytes[*at..].starts_with(b"cowROOTS"));
        copies.for_each(|at| disk.corrupt(&name, at as u64, 1).unwrap());
    }
}

#[test]
fn a_full_log_does_not_keep_a_rewind_out() {
    let disk: Arc<dyn Media> = Arc::new(Simulator::new());
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    pool.create_dataset("other", &Properties::default(), NOW).unwrap();
    pool.snapshot(&[("d", "s")], NOW).unwrap();
    let files = pool.file_system("other").unwrap();
    for number in 0..3000 {
        if number % 10 == 0 {
            pool.rewind("d", "d@s", NOW).unwrap();
        }
        write(&*files, "f", &[number as u8; 9000]);
    }
}

#[test]
fn a_damaged_slot_loses_nothing() {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    for round in 0..10 {
        let name = format!("s{round}");
        write(&*pool.file_system("d").unwrap(), &name, b"content");
        pool.snapshot(&[("d", &name)], NOW).unwrap();
        for slot in 0..2 {
            let harmed = Arc::new(simulator.duplicate());
            harmed.corrupt(SUPERBLOCK_NAME, slot * (64 << 10) + round * 7, 0x40).unwrap();
            let opened = open(&(Arc::clone(&harmed) as Arc<dyn Media>));
            assert_eq!(opened.list().unwrap(), pool.list().unwrap(), "slot {slot} in round {round}");
            assert_eq!(read(&*opened.file_system("d").unwrap(), &name), b"content");
            assert_eq!(opened.verify(None, &mut |_, _| true).unwrap().damage, []);
        }
    }
}

#[test]
fn the_slot_before_a_rewind_takes_nothing_that_was_logged_after_it() {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let head = pool.file_system("d").unwrap();
    write(&*head, "f", b"one");
    pool.snapshot(&[("d", "first")], NOW).unwrap();
    head.rename(&context(), InodeNumber::ROOT, b"f", InodeNumber::ROOT, b"g").unwrap();
    pool.commit(NOW).unwrap();
    pool.rewind("d", "d@first", NOW).unwrap();
    // Before anything is logged, either slot opens: the rewind is there, or it is not.
    let other = Arc::new(simulator.duplicate());
    lose_newest_slot(&other);
    lose_copies(&other);
    let older = open(&(Arc::clone(&other) as Arc<dyn Media>));
    assert_eq!(read(&*older.file_system("d").unwrap(), "g"), b"one");
    assert_eq!(older.verify(None, &mut |_, _| true).unwrap().damage, []);

    head.remove(&context(), InodeNumber::ROOT, b"f").unwrap();
    lose_newest_slot(&simulator);
    lose_copies(&simulator);
    let refused = Pool::open(disk, Arc::new(Inline), Budgets::default(), 8, NOW).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(format!("{refused:?}").contains("a commit rewound it"), "{refused:?}");
}

#[test]
fn snapshots_stay_clones_part_and_rewinds_destroy_nothing() {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let head = pool.file_system("d").unwrap();
    write(&*head, "f", b"one");
    pool.snapshot(&[("d", "first")], NOW).unwrap();
    write(&*head, "f", &[7; 100_000]);
    pool.clone_snapshot("d@first", "clone", &PropertyChange::default(), NOW).unwrap();
    write(&*pool.file_system("clone").unwrap(), "f", b"two");
    let saved = pool.rewind("d", "d@first", NOW).unwrap();
    write(&*head, "g", b"three");

    // A killed process leaves what was promised.
    let disk: Arc<dyn Media> = Arc::new(simulator.duplicate());
    drop(pool);
    let pool = open(&disk);
    let read_in = |dataset: &str, name| read(&*pool.file_system(dataset).unwrap(), name);
    assert_eq!(read_in("d", "f"), b"one");
    assert_eq!(read_in("d", "g"), b"three");
    assert_eq!(read_in("d@first", "f"), b"one");
    assert_eq!(read_in(&format!("d@{}", saved.name), "f"), [7; 100_000]);
    assert_eq!(read_in("clone", "f"), b"two");
    pool.close(NOW).unwrap();
    assert_eq!(pool.commit(NOW).unwrap_err().kind(), ErrorKind::Stale);
}

/// Does something in the middle of a commit, until it tells that this was the right moment.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnMut() -> bool + Send>>>);

impl Executor for Meanwhile {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        let act = self.0.lock().take();
        if let Some(mut act) = act
            && !act()
        {
            *self.0.lock() = Some(act);
        }
        Inline.run(count, job);
    }
}

/// What a sync logs while a commit has it is not applied to what a rewind makes of the head later.
#[test]
fn a_rewind_is_not_undone_by_what_was_logged_during_a_commit() {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    drop(new_pool(&disk));
    let meanwhile = Arc::new(Meanwhile::default());
    let pool = Pool::open(Arc::clone(&disk), Arc::clone(&meanwhile) as _, Budgets::default(), 7, NOW).unwrap();
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let head = pool.file_system("d").unwrap();
    write(&*head, "f", b"one");
    pool.snapshot(&[("d", "first")], NOW).unwrap();
    let file = head.lookup(&context(), InodeNumber::ROOT, b"f").unwrap().inode;
    head.write(&context(), file, 0, b"two", Stability::Unstable).unwrap();
    let syncing = Arc::clone(&head);
    *meanwhile.0.lock() = Some(Box::new(move || syncing.sync(file).is_ok()));
    pool.commit(NOW).unwrap();
    assert!(meanwhile.0.lock().is_none());
    pool.rewind("d", "d@first", NOW).unwrap();
    let disk: Arc<dyn Media> = Arc::new(simulator.duplicate());
    assert_eq!(read(&*open(&disk).file_system("d").unwrap(), "f"), b"one");
}

/// It is committed before the long commit, which takes much longer.
#[test]
fn a_verb_about_a_head_with_little_passes_a_long_commit() {
    let disk: Arc<dyn Media> = Arc::new(Simulator::new());
    drop(new_pool(&disk));
    let meanwhile = Arc::new(Meanwhile::default());
    let pool = Pool::open(Arc::clone(&disk), Arc::clone(&meanwhile) as _, Budgets::default(), 7, NOW).unwrap();
    for name in ["large", "small"] {
        pool.create_dataset(name, &Properties::default(), NOW).unwrap();
        write(&*pool.file_system(name).unwrap(), "f", b"");
    }
    for (name, length) in [("large", 3 << 20), ("small", 1000)] {
        let mut choices = Choices::new(length as u64);
        let bytes: Vec<u8> = (0..length).map(|_| choices.below(256) as u8).collect();
        let files = pool.file_system(name).unwrap();
        let file = files.lookup(&context(), InodeNumber::ROOT, b"f").unwrap().inode;
        files.write(&context(), file, 0, &bytes, Stability::Unstable).unwrap();
    }
    let other = pool.clone();
    *meanwhile.0.lock() = Some(Box::new(move || {
        let is_long = other.core.committed.try_lock().is_some_and(|committed| committed.reserved.is_some());
        if is_long {
            let busy = |name| other.core.is_busy_with(&[other.core.catalog.read().resolve(name).unwrap()]);
            assert_eq!((busy("large"), busy("small")), (true, false));
            other.snapshot(&[("small", "taken")], NOW).unwrap();
        }
        is_long
    }));
    pool.commit(NOW).unwrap();
    assert!(meanwhile.0.lock().is_none(), "no commit was long");
    assert_eq!(read(&*open(&disk).file_system("small@taken").unwrap(), "f").len(), 1000);
}

/// Else another commit would pass that one, and be undone by it: it gives the head the root that it had at the cut.
#[test]
fn a_head_that_only_wants_inode_numbers_belongs_to_the_commit_that_cut_it() {
    let pool = new_pool(&(Arc::new(Simulator::new()) as Arc<dyn Media>));
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let head = pool.core.head(pool.core.catalog.read().resolve("d").unwrap()).unwrap();
    assert!(!head.operate().unwrap().has_number());
    pool.core.note_dirty(&head, 0, 0);
    let cut = pool.core.cut_whole(false);
    assert!(cut.heads.len() == 1 && head.is_frozen());
}

#[test]
fn what_is_destroyed_can_be_taken_back_and_gives_its_space_when_purged() {
    let disk: Arc<dyn Media> = Arc::new(Simulator::new());
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u64).map(|number| ((number * number) >> 7) as u8).collect();
    write(&*pool.file_system("d").unwrap(), "f", &bytes);
    pool.snapshot(&[("d", "s")], NOW).unwrap();
    let head = pool.file_system("d").unwrap();
    pool.destroy("d", false, NOW).unwrap();
    assert_eq!(head.attributes(InodeNumber::ROOT).unwrap_err().kind(), ErrorKind::Stale);
    pool.undelete("d", Some("e"), NOW).unwrap();
    assert_eq!(read(&*pool.file_system("e@s").unwrap(), "f"), bytes);
    let full = pool.space().unwrap();
    pool.destroy("e", false, NOW).unwrap();
    assert_eq!(pool.purge(Timestamp { seconds: 101, nanoseconds: 0 }, NOW).unwrap(), 1);
    while !pool.reclaim_step(10, NOW).unwrap().idle {}
    for _ in 0..3 {
        pool.commit(NOW).unwrap();
    }
    let empty = pool.space().unwrap();
    assert!(empty.live < full.live / 10, "{} of {} bytes still live", empty.live, full.live);
    let pool = open(&disk);
    assert!(pool.list().unwrap().datasets.is_empty());
}

/// What equal bytes cost that are written once more, after `restart` has made another disk of this one.
fn cost_of_equal_bytes(saves: bool, restart: impl FnOnce(&Simulator) -> Simulator) -> u64 {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    let pool = new_pool(&disk);
    let raw = Properties { compression: Compression::Off, ..Properties::default() };
    pool.create_dataset("d", &raw, NOW).unwrap();
    let mut choices = Choices::new(1);
    let bytes: Vec<u8> = (0..2_000_000).map(|_| choices.below(256) as u8).collect();
    write(&*pool.file_system("d").unwrap(), "f", &bytes);
    if saves {
        pool.close(NOW).unwrap();
    }
    drop(pool);
    let pool = open(&(Arc::new(restart(&simulator)) as Arc<dyn Media>));
    let before = pool.space().unwrap().live;
    write(&*pool.file_system("d").unwrap(), "again", &bytes);
    pool.commit(NOW).unwrap();
    pool.space().unwrap().live - before
}

#[test]
fn what_was_stored_before_a_restart_is_not_stored_again() {
    let lost = |disk: &Simulator| {
        let disk = disk.duplicate();
        disk.unlink("dedup").unwrap();
        disk
    };
    let damaged = |disk: &Simulator| {
        let disk = disk.duplicate();
        disk.corrupt("dedup", 20, 1).unwrap();
        disk
    };
    for (case, cost) in [
        ("closed", cost_of_equal_bytes(true, Simulator::duplicate)),
        ("the power went after it", cost_of_equal_bytes(true, |disk| disk.tear(|length| length))),
    ] {
        assert!(cost < 200_000, "{case}: {cost}");
    }
    for (case, cost) in [
        ("killed", cost_of_equal_bytes(false, Simulator::duplicate)),
        ("lost", cost_of_equal_bytes(true, lost)),
        ("damaged", cost_of_equal_bytes(true, damaged)),
    ] {
        assert!(cost > 2_000_000, "{case}: {cost}");
    }
}

/// After a crash the file of an earlier close is there, and tells of what has died since.
#[test]
fn an_index_from_before_a_crash_is_still_true() {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let mut choices = Choices::new(1);
    let mut bytes = || (0..1_500_000).map(|_| choices.below(256) as u8).collect::<Vec<u8>>();
    let (kept, gone) = (bytes(), bytes());
    let head = pool.file_system("d").unwrap();
    write(&*head, "kept", &kept);
    write(&*head, "gone", &gone);
    pool.close(NOW).unwrap();

    let pool = open(&disk);
    let head = pool.file_system("d").unwrap();
    head.remove(&context(), InodeNumber::ROOT, b"gone").unwrap();
    while !pool.reclaim_step(1000, NOW).unwrap().idle {}
    (0..4).for_each(|_| pool.commit(NOW).unwrap());
    while !pool.clean_step(1 << 20, NOW).unwrap().idle {
        pool.commit(NOW).unwrap();
    }
    (0..4).for_each(|_| pool.commit(NOW).unwrap());
    let pool = open(&(Arc::new(simulator.duplicate()) as Arc<dyn Media>));
    let head = pool.file_system("d").unwrap();
    write(&*head, "kept again", &kept);
    write(&*head, "back", &gone);
    pool.commit(NOW).unwrap();
    assert!(pool.counters().deduplicated_bytes > 1_000_000);
    assert_eq!((read(&*head, "kept again"), read(&*head, "back")), (kept, gone));
    assert_eq!(pool.verify(None, &mut |_, _| true).unwrap().damage, []);
}

/// Which pieces of 64 KiB of a file are not what was written, in the order in which they are read.
fn unreadable(disk: &Arc<dyn Media>, bytes: &[u8], order: impl Iterator<Item = usize>) -> (Vec<usize>, u64) {
    let pool = open(disk);
    let files = pool.file_system("d").unwrap();
    let inode = files.lookup(&context(), InodeNumber::ROOT, b"f").unwrap().inode;
    let mut lost = Vec::new();
    for number in order {
        let mut piece = vec![0; 64 << 10];
        match files.read(&context(), inode, (number << 16) as u64, &mut piece) {
            Ok(_) => assert!(piece == bytes[number << 16..][..64 << 10], "piece {number} reads otherwise"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
                lost.push(number);
            }
        }
    }
    lost.sort_unstable();
    let misses = pool.counters().block_misses;
    pool.close(NOW).unwrap();
    (lost, misses)
}

#[test]
fn a_stream_is_read_ahead_of_and_finds_damage_where_it_lies() {
    let simulator = Arc::new(Simulator::new());
    let disk: Arc<dyn Media> = Arc::clone(&simulator) as _;
    let pool = new_pool(&disk);
    pool.create_dataset("d", &Properties::default(), NOW).unwrap();
    let bytes = content(1 << 20, 6 << 20);
    write(&*pool.file_system("d").unwrap(), "f", &bytes);
    pool.close(NOW).unwrap();
    let pieces = bytes.len() >> 16;
    let at_random = (0..pieces).map(|number| number * 37 % pieces);
    let (lost, misses) = unreadable(&disk, &bytes, 0..pieces);
    assert!(lost.is_empty() && misses <= 16, "{misses} blocks were waited for, and {lost:?} lost");
    let (lost, misses) = unreadable(&disk, &bytes, at_random.clone());
    assert!(lost.is_empty() && misses > 100, "{misses} blocks were not there yet");
    let is_data = |name: &String| name.starts_with("data-");
    let segments: Vec<String> = simulator.list().unwrap().into_iter().filter(is_data).collect();
    segments.iter().for_each(|name| (0..4).for_each(|at| drop(simulator.corrupt(name, at * 200_000 + 77, 4))));
    let (lost, _) = unreadable(&disk, &bytes, at_random);
    assert!((3..pieces / 2).contains(&lost.len()), "{lost:?}");
    assert_eq!(unreadable(&disk, &bytes, 0..pieces).0, lost);
}
