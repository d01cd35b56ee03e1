//! The shortest stories of a whole pool. Random histories are in the outer tests.

use std::sync::Arc;

use crate::catalog::{Properties, PropertyChange};
use crate::error::ErrorKind;
use crate::executor::Inline;
use crate::format::{InodeNumber, PoolId, Timestamp};
use crate::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use crate::media::{Media, Simulator};
use crate::pool::{Budgets, NewPool, Pool};

const NOW: Timestamp = Timestamp { seconds: 100, nanoseconds: 0 };

fn context() -> Context {
    Context { now: NOW, caller: Caller::Superuser, durable: true }
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
