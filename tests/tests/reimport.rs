//! A second import stores what changed, and a copy of what is stored already next to nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use cow_storage::catalog::Properties;
use cow_tests::pooled::{Pooled, now};
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;
use cowd::workflows::{ImportOptions, import};

const PAGE_LEN: usize = 8 << 10;
const PAGES: u64 = 8 << 10;
const FILES: u64 = 4;
/// Pages that change: one in a hundred.
const CHANGED: u64 = PAGES * FILES / 100;

/// Bytes that one more import and snapshot make live.
fn growth(pooled: &Pooled, source: &Scratch, dataset: &str, snapshot: &str) -> u64 {
    let before = pooled.pool.space().unwrap().live;
    let head = pooled.pool.file_system(dataset).unwrap();
    import(source.path(), &*head, &ImportOptions::default(), &|_| true).unwrap();
    pooled.pool.snapshot(&[(dataset, snapshot)], now()).unwrap();
    pooled.pool.space().unwrap().live - before
}

#[test]
fn imports_store_what_is_new() {
    let (scratch, source) = (Scratch::new("reimport-pool"), Scratch::new("reimport-source"));
    let mut random = Random::new(1);
    for file in 0..FILES {
        // Nothing compresses, so that stored bytes are blocks.
        fs::write(source.path().join(file.to_string()), random.bytes(PAGES as usize * PAGE_LEN)).unwrap();
    }
    let pooled = Pooled::open(scratch.path()).unwrap();
    let properties = Properties { block_size: 8 << 10, extent_size: 32 << 10, ..Properties::default() };
    for dataset in ["database", "other", "later"] {
        pooled.create(dataset, &properties).unwrap();
    }
    let logical = PAGES * FILES * PAGE_LEN as u64;
    let first = growth(&pooled, &source, "database", "first");
    assert!((logical..logical + logical / 50).contains(&first), "{first} bytes for {logical}");

    for _ in 0..CHANGED {
        let file = File::options().write(true).open(source.path().join(random.below(FILES).to_string())).unwrap();
        file.write_at(&random.bytes(PAGE_LEN), random.below(PAGES) * PAGE_LEN as u64).unwrap();
    }
    let second = growth(&pooled, &source, "database", "second");
    let data = CHANGED * (PAGE_LEN as u64 + 136);
    let percent = |bytes: u64| bytes as f64 * 100.0 / logical as f64;
    println!(
        "1% of pages changed: {:.2}% stored, of it {:.2}% blocks and their headers, {:.2}% tree",
        percent(second),
        percent(data),
        percent(second.saturating_sub(data))
    );
    assert!(percent(data) <= 1.1 && percent(second) <= 1.6, "{:.2}% were stored again", percent(second));

    let copy = growth(&pooled, &source, "other", "copy");
    println!("the same into another dataset: {:.2}% stored", percent(copy));
    assert!(percent(copy) <= 1.5, "{:.2}% of a copy were stored again", percent(copy));

    drop(pooled);
    let pooled = Pooled::open(scratch.path()).unwrap();
    let later = growth(&pooled, &source, "later", "copy");
    println!("the same into a third one, after a restart: {:.2}% stored", percent(later));
    assert!(percent(later) <= 1.5, "{:.2}% of a copy were stored again after a restart", percent(later));
    pooled.assert_sound();
}
