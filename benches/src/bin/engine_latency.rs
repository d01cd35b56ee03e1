//! How long others wait while one dataset is written as fast as it goes.
//!
//! `engine-latency [SAMPLES [PAUSE]]`, by default 40 of each kind, with 200 ms between any two. One thread writes bytes that
//! nothing compresses into a dataset; another takes a snapshot of a second dataset that is idle, clones it, makes 512 KiB of
//! a third durable, and takes a snapshot of the dataset that is written. Prints the median and the longest of each.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_benches::data;
use cow_benches::engine::{Engine, create_file, now, write};
use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::format::InodeNumber;

const MIB: u64 = 1 << 20;
/// Bytes of the file that is written over and over.
const STREAM_LEN: u64 = 1024 * MIB;
/// Bytes that are made durable at once: more than the log takes.
const SYNCED_LEN: usize = 512 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<u64> = env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (samples, pause) = (arguments.first().copied().unwrap_or(40), arguments.get(1).copied().unwrap_or(200));
    let engine = Engine::new("latency");
    for name in ["idle", "synced", "stream"] {
        engine.pool.create_dataset(name, &Properties::default(), now())?;
        let files = engine.pool.file_system(name)?;
        let file = create_file(&*files, InodeNumber::ROOT, "file");
        (0..64).for_each(|at| write(&*files, file, at * MIB, &data::random(at, MIB as usize)));
    }
    engine.pool.commit(now())?;
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| stream(&engine, &stop, &written));
        let start = Instant::now();
        let outcome = measure(&engine, samples, Duration::from_millis(pause));
        stop.store(true, Ordering::Relaxed);
        println!(
            "meanwhile {:.0} MB/s were written",
            written.load(Ordering::Relaxed) as f64 / 1e6 / start.elapsed().as_secs_f64()
        );
        outcome
    })
}

/// Writes until it is told to stop.
fn stream(engine: &Engine, stop: &AtomicBool, written: &AtomicU64) {
    let files = engine.pool.file_system("stream").expect("the dataset is there");
    let file = create_file(&*files, InodeNumber::ROOT, "stream");
    let mut bytes = data::random(1, MIB as usize);
    for at in (0..STREAM_LEN).step_by(MIB as usize).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        bytes
            .chunks_mut(4096)
            .for_each(|page| page[..8].copy_from_slice(&written.load(Ordering::Relaxed).to_le_bytes()));
        write(&*files, file, at, &bytes);
        written.fetch_add(MIB, Ordering::Relaxed);
    }
}

fn measure(engine: &Engine, samples: u64, pause: Duration) -> Result<(), Box<dyn Error>> {
    let files = engine.pool.file_system("synced")?;
    let file = files.lookup(&cow_benches::engine::context(), InodeNumber::ROOT, b"file")?.inode;
    let mut took: [Vec<Duration>; 4] = Default::default();
    for number in 0..samples {
        let mut timed = |kind: usize, act: &dyn Fn() -> cow_storage::error::Result<()>| {
            thread::sleep(pause);
            let start = Instant::now();
            act().map(|()| took[kind].push(start.elapsed()))
        };
        let idle = format!("idle@{number}");
        timed(0, &|| engine.pool.snapshot(&[("idle", &number.to_string())], now()).map(drop))?;
        timed(1, &|| {
            let name = format!("clone{number}");
            engine.pool.clone_snapshot(&idle, &name, &PropertyChange::default(), now()).map(drop)
        })?;
        timed(2, &|| {
            write(&*files, file, number % 64 * MIB, &data::random(number << 20, SYNCED_LEN));
            files.sync(file)
        })?;
        timed(3, &|| engine.pool.snapshot(&[("stream", &number.to_string())], now()).map(drop))?;
    }
    for (kind, took) in
        ["snapshot of an idle dataset", "clone", "512 KiB written and synced", "snapshot of the busy dataset"]
            .iter()
            .zip(&mut took)
    {
        took.sort_unstable();
        let ms = |at: usize| took[at].as_secs_f64() * 1e3;
        println!("{kind}: median {:.1} ms, longest {:.1} ms", ms(took.len() / 2), ms(took.len() - 1));
    }
    Ok(())
}
