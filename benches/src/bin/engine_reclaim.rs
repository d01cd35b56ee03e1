//! Does giving space back hold writers up? One thread writes and syncs, and asks for a dataset now and then, first alone, then
//! while another reclaims, in steps like the daemon's.
//!
//! `engine-reclaim [BUDGET [MIB]]`, by default steps of 4,096 pointers and a dataset of 512 MiB in blocks of 8 KiB: with 30
//! snapshots of 4,000 random writes each, and 4 clones of one of them that overwrote a third of it. Half of the snapshots
//! (which are merged), that origin (which is sifted), and one clone (which is walked) are destroyed.

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

const BLOCK: u64 = 8192;
const FOREGROUND_MIB: u64 = 64;
const ALONE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<u64> = env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let budget = arguments.first().copied().unwrap_or(1 << 12);
    let mib = arguments.get(1).copied().unwrap_or(512);
    let engine = Engine::new("reclaim");
    prepare(&engine, mib)?;
    println!(
        "{:<20}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "milliseconds", "number", "median", "99%", "99.9%", "most", "seconds"
    );

    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let writer = scope.spawn(|| foreground(&engine, &stop));
        thread::sleep(ALONE);
        stop.store(true, Ordering::Relaxed);
        report("alone", writer.join().map_err(|_| "the writer failed")?);
        Ok(())
    })?;

    let before = engine.pool.space()?.live;
    destroy(&engine)?;
    stop.store(false, Ordering::Relaxed);
    let steps = thread::scope(|scope| -> Result<Vec<Duration>, Box<dyn Error>> {
        let writer = scope.spawn(|| foreground(&engine, &stop));
        let steps = reclaim(&engine, budget);
        stop.store(true, Ordering::Relaxed);
        report("while reclaiming", writer.join().map_err(|_| "the writer failed")?);
        steps
    })?;
    let freed = before.saturating_sub(engine.pool.space()?.live);
    print_line("a reclaim step", steps);
    println!("{} MiB are free again", freed >> 20);
    Ok(())
}

fn prepare(engine: &Engine, mib: u64) -> Result<(), Box<dyn Error>> {
    let properties = Properties { block_size: BLOCK as u32, ..Properties::default() };
    for (name, mib) in [("w", FOREGROUND_MIB), ("d", mib)] {
        engine.pool.create_dataset(name, &properties, now())?;
        let files = engine.pool.file_system(name)?;
        let file = create_file(&*files, InodeNumber::ROOT, "file");
        for at in 0..mib {
            write(&*files, file, at << 20, &data::random(at, 1 << 20));
        }
        files.sync(file)?;
        engine.pool.commit(now())?;
    }
    let blocks = (mib << 20) / BLOCK;
    for round in 0..30 {
        overwrite(engine, "d", blocks, 4000, round)?;
        engine.pool.snapshot(&[("d", &format!("s{round}"))], now())?;
    }
    for clone in 0..4 {
        let name = format!("c{clone}");
        engine.pool.clone_snapshot("d@s10", &name, &PropertyChange::default(), now())?;
        overwrite(engine, &name, blocks, blocks / 3, 100 + clone)?;
    }
    overwrite(engine, "d", blocks, blocks / 3, 200)?;
    engine.settle();
    Ok(())
}

fn overwrite(engine: &Engine, name: &str, blocks: u64, count: u64, seed: u64) -> Result<(), Box<dyn Error>> {
    let files = engine.pool.file_system(name)?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let mut random = Random::new(seed);
    let fresh = data::random(seed << 32, 1 << 20);
    for number in 0..count {
        let mut page = fresh[(number % 100 * BLOCK) as usize..][..BLOCK as usize].to_vec();
        page[..8].copy_from_slice(&(seed << 32 | number).to_le_bytes());
        files.write(&context(), file, random.below(blocks) * BLOCK, &page, Stability::Unstable)?;
    }
    engine.pool.commit(now())?;
    Ok(())
}

fn destroy(engine: &Engine) -> Result<(), Box<dyn Error>> {
    for round in (0..30).step_by(2) {
        engine.pool.destroy(&format!("d@s{round}"), false, now())?;
    }
    engine.pool.destroy("c3", false, now())?;
    Ok(())
}

/// As the daemon's background thread does it. Returns how long each step took.
fn reclaim(engine: &Engine, budget: u64) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut steps = Vec::new();
    engine.pool.purge(now(), now())?;
    loop {
        let began = Instant::now();
        let idle = engine.pool.reclaim_step(budget, now())?.idle;
        steps.push(began.elapsed());
        let cleaned = engine.pool.clean_step(4 << 20, now())?.idle;
        if idle && cleaned {
            return Ok(steps);
        }
        thread::sleep(began.elapsed());
    }
}

#[derive(Default)]
struct Waits {
    writes: Vec<Duration>,
    syncs: Vec<Duration>,
    questions: Vec<Duration>,
}

fn foreground(engine: &Engine, stop: &AtomicBool) -> Waits {
    let files = engine.pool.file_system("w").expect("the dataset is there");
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file").expect("the file is there").inode;
    let (mut random, mut waits) = (Random::new(9), Waits::default());
    while !stop.load(Ordering::Relaxed) {
        let at = random.below((FOREGROUND_MIB << 20) / BLOCK) * BLOCK;
        let page = random.bytes(BLOCK as usize);
        let write = || files.write(&context(), file, at, &page, Stability::Unstable).expect("it writes");
        waits.writes.push(timed(|| _ = write()));
        waits.syncs.push(timed(|| files.sync(file).expect("it syncs")));
        if waits.writes.len().is_multiple_of(10) {
            waits.questions.push(timed(|| drop(engine.pool.dataset("w").expect("it is there"))));
        }
    }
    waits
}

fn timed(act: impl FnOnce()) -> Duration {
    let began = Instant::now();
    act();
    began.elapsed()
}

fn report(when: &str, waits: Waits) {
    println!("{when}");
    print_line("  a write", waits.writes);
    print_line("  a sync", waits.syncs);
    print_line("  a question", waits.questions);
}

fn print_line(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let part = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)));
    let [median, most_of, nearly_all] = [0.5, 0.99, 0.999].map(|at| part(at).copied().map_or(0.0, milliseconds));
    let most = times.last().copied().map_or(0.0, milliseconds);
    let sum: Duration = times.iter().sum();
    println!(
        "{what:<20}{:>9}{median:>9.2}{most_of:>9.2}{nearly_all:>9.2}{most:>9.2}{:>9.1}",
        times.len(),
        sum.as_secs_f64()
    );
}
