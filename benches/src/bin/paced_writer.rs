//! What one writer waits: writes of 8 KiB at random places of a file, each made durable, at a pace.
//!
//! `paced-writer FILE MIB MICROSECONDS` writes until its input ends; then it prints the milliseconds that each write with its
//! fdatasync took, as a list of JSON. A write begins so long after the one before began, or at once when that took longer.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{Read, stdin};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::random::Random;

const PAGE: u64 = 8192;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [path, mib, pace] = &words[..] else { return Err("say which file, how many MiB, and the pace".into()) };
    let (pages, pace) = ((mib.parse::<u64>()? << 20) / PAGE, Duration::from_micros(pace.parse()?));
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let stop = AtomicBool::new(false);
    let waits = thread::scope(|scope| -> Result<Vec<String>, Box<dyn Error>> {
        scope.spawn(|| {
            let _ = stdin().read_to_end(&mut Vec::new());
            stop.store(true, Ordering::Relaxed);
        });
        let (mut random, mut waits) = (Random::new(3), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let page = random.bytes(PAGE as usize);
            let at = random.below(pages) * PAGE;
            let began = Instant::now();
            file.write_all_at(&page, at)?;
            file.sync_data()?;
            waits.push(format!("{:.3}", began.elapsed().as_secs_f64() * 1e3));
            thread::sleep(pace.saturating_sub(began.elapsed()));
        }
        Ok(waits)
    })?;
    println!("[{}]", waits.join(", "));
    Ok(())
}
