//! How fast is a clone overwritten, and how fast is it read in order afterwards?
//!
//! `engine-overwrite [MIB [SECONDS]]`, by default 1,024 MiB and 3 seconds: a file of pages that are compressible by half, in
//! blocks of 8 KiB and extents of 32 KiB, is cloned for each of three ways to overwrite 65,536 pages at random, or as many as can be in that
//! time: by one thread, by 16, and by one that syncs after each; what is written is durable in the end, and counted in writes a second. Then a
//! third of another clone is overwritten, and read in order, as is a fresh copy of it, and the clone once more when all
//! background work is done; the pool is opened again before each, and megabytes a second are printed.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_benches::data;
use cow_benches::engine::{Engine, context, create_file, now, write};
use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::format::InodeNumber;
use cow_storage::fs::Stability;
use cow_tests::random::Random;

type Outcome<T> = Result<T, Box<dyn Error>>;

const BLOCK: u64 = 8 << 10;
const EXTENT: u32 = 32 << 10;
/// Bytes of one call of a scan.
const CALL_LEN: usize = 1 << 20;
/// Most writes of one way to overwrite.
const WRITES_MAX: u64 = 65_536;
/// What is overwritten for the scan becomes durable after so many writes.
const BATCH: u64 = 1000;

fn main() -> Outcome<()> {
    let arguments: Vec<u64> = env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let argument = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let (mib, seconds) = (argument(0, 1024), Duration::from_secs(argument(1, 3)));
    let blocks = (mib << 20) / BLOCK;
    let mut engine = Engine::new("overwrite");
    let properties = Properties { block_size: BLOCK as u32, extent_size: EXTENT, ..Properties::default() };
    engine.pool.create_dataset("d", &properties, now())?;
    fill(&engine, "d", mib)?;
    engine.pool.snapshot(&[("d", "s")], now())?;
    for (name, threads, syncs) in [("depth 1", 1, false), ("depth 16", 16, false), ("sync each", 1, true)] {
        engine.pool.clone_snapshot("d@s", "c", &PropertyChange::default(), now())?;
        println!("{name}: {:.0}/s", rate(&engine, blocks, threads, syncs, seconds)?);
        engine.pool.destroy("c", false, now())?;
        engine.settle();
    }

    engine.pool.clone_snapshot("d@s", "c", &PropertyChange::default(), now())?;
    println!("sync each 1,000: {:.0}/s", overwrite(&engine, blocks)?);
    let never_shared = Properties { dedup: false, ..properties };
    engine.pool.create_dataset("copy", &never_shared, now())?;
    copy(&engine, mib)?;
    for (what, dataset) in [("overwritten", "c"), ("fresh copy", "copy")] {
        engine = engine.reopened();
        println!("{what}: {:.0} MB/s", scan(&engine, dataset, mib)?);
    }
    clean(&engine)?;
    engine = engine.reopened();
    println!("cleaned: {:.0} MB/s", scan(&engine, "c", mib)?);
    Ok(())
}

fn fill(engine: &Engine, dataset: &str, mib: u64) -> Outcome<()> {
    let files = engine.pool.file_system(dataset)?;
    let file = create_file(&*files, InodeNumber::ROOT, "file");
    for at in 0..mib {
        write(&*files, file, at << 20, &data::half(at, 1 << 20));
    }
    files.sync(file)?;
    engine.pool.commit(now())?;
    Ok(())
}

/// Writes a second, the final sync included.
fn rate(engine: &Engine, blocks: u64, threads: u64, syncs: bool, time: Duration) -> Outcome<f64> {
    let files = engine.pool.file_system("c")?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let (written, began) = (AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for number in 0..threads {
            let (files, written) = (&files, &written);
            scope.spawn(move || {
                let (mut random, mut pages) = (Random::new(number), Pages::new(number));
                while began.elapsed() < time && pages.count < WRITES_MAX / threads {
                    let at = random.below(blocks) * BLOCK;
                    let wrote = files.write(&context(), file, at, pages.next(), Stability::Unstable);
                    wrote.expect("the pool takes writes");
                    if syncs {
                        files.sync(file).expect("the pool syncs");
                    }
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    files.sync(file)?;
    Ok(written.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// Overwrites a third of the pages, in any order. Writes a second.
fn overwrite(engine: &Engine, blocks: u64) -> Outcome<f64> {
    let files = engine.pool.file_system("c")?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let (mut random, mut pages, began) = (Random::new(77), Pages::new(77), Instant::now());
    for number in 1..=blocks / 3 {
        files.write(&context(), file, random.below(blocks) * BLOCK, pages.next(), Stability::Unstable)?;
        if number.is_multiple_of(BATCH) {
            files.sync(file)?;
        }
    }
    files.sync(file)?;
    let rate = (blocks / 3) as f64 / began.elapsed().as_secs_f64();
    engine.pool.commit(now())?;
    Ok(rate)
}

/// Pages of which no two are equal.
struct Pages {
    bytes: Vec<u8>,
    thread: u64,
    count: u64,
}

impl Pages {
    fn new(thread: u64) -> Self {
        Self { bytes: data::half(thread + (1 << 40), 1 << 20), thread, count: 0 }
    }

    fn next(&mut self) -> &[u8] {
        let at = (self.count % (self.bytes.len() as u64 / BLOCK) * BLOCK) as usize;
        let page = &mut self.bytes[at..at + BLOCK as usize];
        page[..8].copy_from_slice(&self.count.to_le_bytes());
        page[8..16].copy_from_slice(&self.thread.to_le_bytes());
        self.count += 1;
        page
    }
}

fn copy(engine: &Engine, mib: u64) -> Outcome<()> {
    let (from, to) = (engine.pool.file_system("c")?, engine.pool.file_system("copy")?);
    let file = from.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let copied = create_file(&*to, InodeNumber::ROOT, "file");
    let mut buffer = vec![0; CALL_LEN];
    for offset in (0..mib << 20).step_by(CALL_LEN) {
        from.read(&context(), file, offset, &mut buffer)?;
        write(&*to, copied, offset, &buffer);
    }
    to.sync(copied)?;
    engine.pool.commit(now())?;
    Ok(())
}

/// Megabytes a second.
fn scan(engine: &Engine, dataset: &str, mib: u64) -> Outcome<f64> {
    let files = engine.pool.file_system(dataset)?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let (mut buffer, began) = (vec![0; CALL_LEN], Instant::now());
    for offset in (0..mib << 20).step_by(CALL_LEN) {
        files.read(&context(), file, offset, &mut buffer)?;
    }
    Ok((mib << 20) as f64 / 1e6 / began.elapsed().as_secs_f64())
}

/// Background work until there is none.
fn clean(engine: &Engine) -> Outcome<()> {
    loop {
        let reclaimed = engine.pool.reclaim_step(1 << 20, now())?.idle;
        let cleaned = engine.pool.clean_step(64 << 20, now())?.idle;
        engine.pool.commit(now())?;
        if reclaimed && cleaned && engine.pool.clean_step(64 << 20, now())?.idle {
            return Ok(());
        }
    }
}
