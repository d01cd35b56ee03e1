//! Readers in order and at random on real threads, while their file changes: they read what was written, and nothing of
//! them is left when the pool is closed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cow_storage::catalog::Properties;
use cow_storage::format::{InodeNumber, PoolId};
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use cow_storage::media::{Directory, Media};
use cow_storage::pool::{Budgets, NewPool, Pool};
use cow_tests::pooled::now;
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;
use cowd::executor::Threads;

const BLOCK_LEN: u64 = 8 << 10;
const BLOCKS: u64 = 2048;
const ROUNDS: u64 = 12;

#[test]
fn readers_read_what_was_written_and_end_with_the_pool() {
    let scratch = Scratch::new("read-ahead");
    let properties = Properties { block_size: BLOCK_LEN as u32, extent_size: 32 << 10, ..Properties::default() };
    let pool = open(scratch.path());
    pool.create_dataset("d", &properties, now()).unwrap();
    let files = pool.file_system("d").unwrap();
    let object = NewObject::Regular { exclusive: None };
    let made = files.create(&context(), InodeNumber::ROOT, b"f", &object, 0o644, &AttributeChange::default());
    let file = made.unwrap().object.inode;
    (0..BLOCKS).for_each(|number| write(&*files, file, number, 0));
    drop(files);
    pool.close(now()).unwrap();
    drop(pool);
    for round in 1..=ROUNDS {
        // The directory would be in use if a thread still had the last one.
        let pool = open(scratch.path());
        let files = pool.file_system("d").unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|reader| {
                    scope.spawn({
                        let files = &*files;
                        move || read(files, file, Random::new(round << 8 | reader), round)
                    })
                })
                .collect();
            scope.spawn(|| {
                let mut random = Random::new(round);
                while !is_over.load(Ordering::Relaxed) {
                    write(&*files, file, random.below(BLOCKS), round);
                    if random.below(50) == 0 {
                        pool.commit(now()).unwrap();
                        pool.clean_step(1 << 20, now()).unwrap();
                    }
                }
            });
            let outcomes: Vec<_> = readers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::Relaxed);
            outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        });
        drop(files);
        pool.close(now()).unwrap();
    }
    for round in 0..ROUNDS * 4 {
        // Closed while what was fetched ahead for the last read is under way.
        let pool = open(scratch.path());
        let files = pool.file_system("d").unwrap();
        let mut bytes = vec![0; 64 << 10];
        for at in 0..4 + round % 4 {
            files.read(&context(), file, at << 16, &mut bytes).unwrap();
        }
        drop(files);
        pool.close(now()).unwrap();
    }
}

fn open(directory: &Path) -> Pool {
    let media: Arc<dyn Media> = Arc::new(Directory::open(directory).unwrap());
    if !Pool::exists(&*media).unwrap() {
        let new = NewPool { id: PoolId([5; 16]), secret: [6; 32], segment_size: 4 << 20, intent_size: 8 << 20 };
        Pool::create(&media, &new).unwrap();
    }
    // So little that what was read ahead is often gone before it is wanted.
    let budgets = Budgets { blocks: 33 << 20, ..Budgets::default() };
    Pool::open(media, Arc::new(Threads::new(2).unwrap()), budgets, 1, now()).unwrap()
}

fn context() -> Context {
    Context { now: now(), caller: Caller::Superuser, durable: false, call: None }
}

/// Every word of a block tells which block it is, and in which round it was written.
fn write(files: &dyn FileSystem, file: InodeNumber, number: u64, round: u64) {
    let mut random = Random::new(number);
    let words = (0..BLOCK_LEN / 8).flat_map(|_| (random.number() << 16 | round).to_le_bytes());
    let bytes: Vec<u8> = words.collect();
    files.write(&context(), file, number * BLOCK_LEN, &bytes, Stability::Unstable).unwrap();
}

/// Reads in order from somewhere, and then from somewhere else.
fn read(files: &dyn FileSystem, file: InodeNumber, mut random: Random, round: u64) {
    for _ in 0..20 {
        let blocks = [1, 8, 128][random.below(3) as usize];
        let (first, calls) = (random.below(BLOCKS), random.below(40));
        for at in (0..calls).map(|call| first + call * blocks).take_while(|at| at + blocks <= BLOCKS) {
            let mut bytes = vec![0; (blocks * BLOCK_LEN) as usize];
            files.read(&context(), file, at * BLOCK_LEN, &mut bytes).unwrap();
            for (number, block) in (at..).zip(bytes.chunks_exact(BLOCK_LEN as usize)) {
                let mut expected = Random::new(number);
                let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                let written = word(&block[..8]) & 0xffff;
                assert!(written <= round, "block {number} is of round {written}, which is to come");
                let is_whole = |bytes: &[u8]| word(bytes) == (expected.number() << 16 | written);
                assert!(block.chunks_exact(8).all(is_whole), "block {number} was not written so");
            }
        }
    }
}
