//! Many snapshots and clones: each is right, none slows the next, and all their space comes back.
//!
//! `COW_SCALE` sets their number (500 by default; 10,000 is the goal). Times are printed, not judged: the machine's
//! other work would be judged with them.

use std::env;
use std::time::Instant;

use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use cow_tests::pooled::{Pooled, now};
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;

const FILE_LEN: usize = 1 << 20;
const BLOCK_LEN: usize = 16 << 10;

#[test]
fn many_snapshots_and_clones_come_and_go() {
    let count: usize = env::var("COW_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let scratch = Scratch::new("scale");
    let pooled = Pooled::open(scratch.path()).unwrap();
    pooled.create("d", &Properties::default()).unwrap();
    let mut content = Random::new(1).bytes(FILE_LEN);
    write(&*pooled.pool.file_system("d").unwrap(), 0, &content);
    pooled.purge().unwrap();
    let live_before = pooled.pool.space().unwrap().live;

    let made = Instant::now();
    for number in 0..count {
        let at = number * BLOCK_LEN % FILE_LEN;
        content[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
        write(&*pooled.pool.file_system("d").unwrap(), at, &content[at..at + BLOCK_LEN]);
        pooled.pool.snapshot(&[("d", &format!("s{number}"))], now()).unwrap();
        let snapshot = format!("d@s{number}");
        pooled.pool.clone_snapshot(&snapshot, &format!("c{number}"), &PropertyChange::default(), now()).unwrap();
    }
    println!("{count} snapshots and clones: {:?} each", made.elapsed() / count as u32);
    check(&pooled, count, &content);

    let listed = Instant::now();
    let listing = pooled.pool.list().unwrap();
    assert_eq!((listing.datasets.len(), listing.snapshots.len()), (count + 1, count));
    println!("listed in {:?}", listed.elapsed());
    drop(pooled);

    let opened = Instant::now();
    let pooled = Pooled::open(scratch.path()).unwrap();
    println!("opened again and shared in {:?}", opened.elapsed());
    check(&pooled, count, &content);
    pooled.assert_sound();

    let destroyed = Instant::now();
    // Origins before their clones in one half, after them in the other.
    for number in 0..count {
        let (clone, snapshot) = (format!("c{number}"), format!("d@s{number}"));
        let order = if number % 2 == 0 { [&snapshot, &clone] } else { [&clone, &snapshot] };
        order.into_iter().for_each(|name| pooled.pool.destroy(name, false, now()).unwrap());
    }
    pooled.purge().unwrap();
    println!("destroyed, and space given back, in {:?}", destroyed.elapsed());
    let listing = pooled.pool.list().unwrap();
    assert_eq!((listing.datasets.len(), listing.snapshots.len()), (1, 0));
    let live = pooled.pool.space().unwrap().live;
    assert!(live < live_before + (256 << 10), "{live_before} bytes were live before, and {live} are now");
    pooled.assert_sound();
}

/// Some of the clones have what their snapshot had.
fn check(pooled: &Pooled, count: usize, newest: &[u8]) {
    for number in [0, count / 2, count - 1] {
        let files = pooled.pool.file_system(&format!("c{number}")).unwrap();
        let bytes = read(&*files);
        let block = number * BLOCK_LEN % FILE_LEN;
        assert_eq!(bytes[block..block + 8], (number as u64).to_le_bytes(), "clone {number}");
        assert_eq!(bytes[block + 8..block + BLOCK_LEN], newest[block + 8..block + BLOCK_LEN], "clone {number}");
    }
    assert_eq!(read(&*pooled.pool.file_system(&format!("c{}", count - 1)).unwrap()), newest);
}

fn write(files: &dyn FileSystem, at: usize, bytes: &[u8]) {
    let inode = match files.lookup(&context(), InodeNumber::ROOT, b"file") {
        Ok(found) => found.inode,
        Err(_) => {
            let object = NewObject::Regular { exclusive: None };
            let initial = AttributeChange::default();
            files.create(&context(), InodeNumber::ROOT, b"file", &object, 0o644, &initial).unwrap().object.inode
        }
    };
    files.write(&context(), inode, at as u64, bytes, Stability::Unstable).unwrap();
}

fn read(files: &dyn FileSystem) -> Vec<u8> {
    let inode = files.lookup(&context(), InodeNumber::ROOT, b"file").unwrap().inode;
    let mut bytes = vec![0; FILE_LEN];
    assert_eq!(files.read(&context(), inode, 0, &mut bytes).unwrap().length, FILE_LEN);
    bytes
}

fn context() -> Context {
    Context { now: now(), caller: Caller::Superuser, durable: false, call: None }
}
