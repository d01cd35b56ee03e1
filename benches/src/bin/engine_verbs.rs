//! How long a snapshot and a clone take, and whether a writer notices.
//!
//! `engine-verbs SAMPLES size MIB STEP_KIB`: of a sparse file with a block of 4 KiB at each step.
//! `engine-verbs SAMPLES count SNAPSHOTS CLONES NUMBER..`: with as many snapshots, or clones, as each number says, up to the
//! most of each kind.
//! `engine-verbs SAMPLES busy`: while another dataset is written as fast as it goes.
//! `engine-verbs SAMPLES writer`: what one writer of 4 KiB waits, without snapshots of its dataset and with twenty a second.
//!
//! Prints lines of JSON: what was measured, and the milliseconds of each sample.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_benches::data;
use cow_benches::engine::{Engine, context, create_file, now, write};
use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::format::InodeNumber;
use cow_storage::fs::Stability;
use cow_tests::random::Random;

const MIB: u64 = 1 << 20;
const BLOCK: u64 = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [samples, "size", mib, step] => by_size(samples.parse()?, mib.parse()?, step.parse()?),
        [samples, "count", snapshots, clones, ref numbers @ ..] => {
            let numbers = numbers.iter().map(|text| text.parse()).collect::<Result<Vec<u64>, _>>()?;
            by_count(samples.parse()?, snapshots.parse()?, clones.parse()?, &numbers)
        }
        [samples, "busy"] => while_busy(samples.parse()?),
        [samples, "writer"] => beside_a_writer(samples.parse()?),
        _ => Err("say how many samples, and size, count, busy or writer".into()),
    }
}

fn by_size(samples: u64, mib: u64, step: u64) -> Result<(), Box<dyn Error>> {
    let engine = filled("size", mib * MIB, step << 10)?;
    verbs(&engine, &format!("{mib}"), samples)
}

fn by_count(samples: u64, snapshots: u64, clones: u64, numbers: &[u64]) -> Result<(), Box<dyn Error>> {
    for (kind, most) in [("snapshots", snapshots), ("clones", clones)] {
        let engine = filled("count", 64 * MIB, 16 << 10)?;
        engine.pool.snapshot(&[("d", "origin")], now())?;
        let mut there = 0;
        for count in numbers.iter().copied().filter(|count| *count <= most) {
            for number in there..count {
                match kind {
                    "snapshots" => drop(engine.pool.snapshot(&[("d", &format!("s{number}"))], now())?),
                    _ => clone(&engine, "d@origin", &format!("c{number}"))?,
                }
            }
            there = count;
            verbs(&engine, &format!("{count} {kind}"), samples)?;
        }
    }
    Ok(())
}

/// Another dataset takes bytes that nothing compresses, as fast as it goes, while a small one's verbs are timed.
fn while_busy(samples: u64) -> Result<(), Box<dyn Error>> {
    let engine = filled("busy", 64 * MIB, 16 << 10)?;
    engine.pool.create_dataset("stream", &Properties::default(), now())?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let files = engine.pool.file_system("stream").expect("the dataset is there");
            let file = create_file(&*files, InodeNumber::ROOT, "stream");
            let mut bytes = data::random(1, MIB as usize);
            for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                bytes.chunks_mut(BLOCK as usize).for_each(|page| page[..8].copy_from_slice(&u64::to_le_bytes(number)));
                write(&*files, file, number % 1024 * MIB, &bytes);
            }
        });
        thread::sleep(Duration::from_secs(2));
        let outcome = verbs(&engine, "busy", samples);
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

/// One writer, a write each 200 microseconds; then the same with snapshots of what it writes.
fn beside_a_writer(samples: u64) -> Result<(), Box<dyn Error>> {
    let engine = filled("writer", 256 * MIB, BLOCK)?;
    for kind in ["alone", "with snapshots"] {
        let stop = AtomicBool::new(false);
        let waits = thread::scope(|scope| {
            let writer = scope.spawn(|| paced_writer(&engine, &stop));
            for number in 0..samples {
                thread::sleep(Duration::from_millis(50));
                if kind != "alone" {
                    engine.pool.snapshot(&[("d", &format!("s{number}"))], now())?;
                }
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().map_err(|_| Box::<dyn Error>::from("the writer failed"))
        })?;
        print("writer", kind, &waits);
    }
    Ok(())
}

fn paced_writer(engine: &Engine, stop: &AtomicBool) -> Vec<f64> {
    let files = engine.pool.file_system("d").expect("the dataset is there");
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file").expect("the file is there").inode;
    let (mut random, mut waits) = (Random::new(5), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let page = random.bytes(BLOCK as usize);
        let at = random.below(256 * MIB / BLOCK) * BLOCK;
        let began = Instant::now();
        files.write(&context(), file, at, &page, Stability::Unstable).expect("it writes");
        waits.push(began.elapsed().as_secs_f64() * 1e3);
        thread::sleep(Duration::from_micros(200).saturating_sub(began.elapsed()));
    }
    waits
}

/// A file with a block of its own at each step.
fn filled(name: &str, length: u64, step: u64) -> Result<Engine, Box<dyn Error>> {
    let engine = Engine::new(name);
    let properties = Properties { block_size: BLOCK as u32, ..Properties::default() };
    engine.pool.create_dataset("d", &properties, now())?;
    let files = engine.pool.file_system("d")?;
    let file = create_file(&*files, InodeNumber::ROOT, "file");
    let mut page = vec![0; BLOCK as usize];
    for at in (0..length).step_by(usize::try_from(step)?) {
        page[..8].copy_from_slice(&(at + 1).to_le_bytes());
        files.write(&context(), file, at, &page, Stability::Unstable)?;
    }
    engine.settle();
    Ok(engine)
}

/// Snapshots with a changed block each, and clones of them; all are destroyed again, which is not timed.
fn verbs(engine: &Engine, what: &str, samples: u64) -> Result<(), Box<dyn Error>> {
    let files = engine.pool.file_system("d")?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let (mut snapshots, mut clones) = (Vec::new(), Vec::new());
    for number in 0..samples {
        files.write(&context(), file, 0, &data::random(number, BLOCK as usize), Stability::Unstable)?;
        snapshots.push(timed(|| engine.pool.snapshot(&[("d", "measured")], now()).map(drop))?);
        clones.push(timed(|| clone(engine, "d@measured", "measured"))?);
        engine.pool.destroy("measured", false, now())?;
        engine.pool.destroy("d@measured", false, now())?;
    }
    print(what, "snapshot", &snapshots);
    print(what, "clone", &clones);
    Ok(())
}

fn clone(engine: &Engine, snapshot: &str, name: &str) -> cow_storage::error::Result<()> {
    engine.pool.clone_snapshot(snapshot, name, &PropertyChange::default(), now()).map(drop)
}

fn timed<E>(act: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn print(what: &str, kind: &str, milliseconds: &[f64]) {
    let texts: Vec<String> = milliseconds.iter().map(|one| format!("{one:.4}")).collect();
    println!("{{\"what\": \"{what}\", \"kind\": \"{kind}\", \"ms\": [{}]}}", texts.join(", "));
}
