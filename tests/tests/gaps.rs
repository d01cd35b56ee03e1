//! What dies in the middle of segments comes back to the host, though they are never emptied.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cow_storage::catalog::{Compression, Properties};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Context, NewObject, Stability};
use cow_tests::pooled::{Pooled, now};
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;

const FILES: u64 = 48;
const FILE_LEN: usize = 1 << 20;

fn context() -> Context {
    Context { now: now(), caller: Caller::Superuser, durable: false, call: None }
}

/// Bytes that the host has set aside for the pool's segments.
fn allocated(pool: &Path) -> u64 {
    let segments = fs::read_dir(pool).unwrap().map(Result::unwrap);
    let segments = segments.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("data-")));
    // One that is being removed counts no more.
    segments.filter_map(|entry| Some(entry.metadata().ok()?.blocks() * 512)).sum()
}

#[test]
fn what_dies_inside_segments_comes_back_to_the_host() {
    let scratch = Scratch::new("gaps");
    let pooled = Pooled::open(scratch.path()).unwrap();
    pooled.create("d", &Properties { compression: Compression::Off, ..Properties::default() }).unwrap();
    let files = pooled.pool.file_system("d").unwrap();
    let name = |number: u64| format!("file{number}").into_bytes();
    for number in 0..FILES {
        let (object, initial) = (NewObject::Regular { exclusive: None }, AttributeChange::default());
        let made = files.create(&context(), InodeNumber::ROOT, &name(number), &object, 0o644, &initial).unwrap();
        let bytes = Random::new(number).bytes(FILE_LEN);
        files.write(&context(), made.object.inode, 0, &bytes, Stability::Unstable).unwrap();
        pooled.pool.commit(now()).unwrap();
    }
    let (full, told) = (allocated(scratch.path()), pooled.pool.space().unwrap().stored);
    let doomed = FILES / 3;
    for number in 0..doomed {
        files.remove(&context(), InodeNumber::ROOT, &name(3 * number + 1)).unwrap();
    }
    pooled.purge().unwrap();
    // But for the last segment and the edges of what died.
    let expected = (doomed - 3) * (FILE_LEN as u64 - (64 << 10));
    let given = || full.saturating_sub(allocated(scratch.path()));
    for _ in 0..200 {
        pooled.pool.commit(now()).unwrap();
        pooled.pool.clean_step(64 << 20, now()).unwrap();
        if given() >= expected {
            break;
        }
    }
    assert!(given() >= expected, "{} of {expected} bytes came back", given());
    assert!(told - pooled.pool.space().unwrap().stored >= expected, "and the pool tells so");
    for number in (0..FILES).filter(|number| number % 3 != 1) {
        let found = files.lookup(&context(), InodeNumber::ROOT, &name(number)).unwrap();
        let mut bytes = vec![0; FILE_LEN];
        files.read(&context(), found.inode, 0, &mut bytes).unwrap();
        assert!(bytes == Random::new(number).bytes(FILE_LEN), "file {number}");
    }
    pooled.assert_sound();
}
