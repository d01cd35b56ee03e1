//! Does speed decay as snapshots pile up? Rounds of random writes of bytes never seen before, sync and snapshot.
//!
//! `rounds [OPTION..] engine`, `rounds [OPTION..] file PATH` or `rounds [OPTION..] nfs ADDRESS EXPORT`: an engine in this
//! process, a file of any file system, or one that a server shares. Options: `--rounds N`, `--writes N` in each, `--mib N` of
//! the file, `--block BYTES`, `--seconds N` after which no round begins, `--device NAME` whose written bytes count (as in
//! /sys/block), and for all but the engine `--snapshot COMMAND`, a command of the shell in which {} stands for the round.
//! Prints a line of JSON for each round.

mod target;

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use cow_benches::data;
use cow_tests::random::Random;

use crate::target::{EngineFile, HostFile, NfsFile, Target};

struct Options {
    rounds: u64,
    writes: u64,
    mib: u64,
    block: u64,
    time: Duration,
    device: Option<String>,
    snapshot: String,
    target: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let words: Vec<&str> = options.target.iter().map(String::as_str).collect();
    match words[..] {
        ["engine"] => run(&options, EngineFile::new(options.block)?),
        ["file", path] => run(&options, HostFile::new(path, &options.snapshot)?),
        ["nfs", address, export] => run(&options, NfsFile::new(address, export, &options.snapshot)?),
        _ => Err("say what to write: engine, file PATH or nfs ADDRESS EXPORT".into()),
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        rounds: 100,
        writes: 2000,
        mib: 1024,
        block: 4096,
        time: Duration::MAX,
        device: None,
        snapshot: String::new(),
        target: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--writes" => options.writes = value()?.parse()?,
            "--mib" => options.mib = value()?.parse()?,
            "--block" => options.block = value()?.parse()?,
            "--seconds" => options.time = Duration::from_secs(value()?.parse()?),
            "--device" => options.device = Some(value()?),
            "--snapshot" => options.snapshot = value()?,
            _ => options.target.push(word),
        }
    }
    Ok(options)
}

fn run(options: &Options, mut target: impl Target) -> Result<(), Box<dyn Error>> {
    for at in 0..options.mib {
        target.write(at << 20, &data::random(at, 1 << 20))?;
    }
    target.sync()?;
    target.settle()?;
    let began = Instant::now();
    let (mut random, mut bytes_before) = (Random::new(1), written(options)?);
    for round in 1..=options.rounds {
        if began.elapsed() > options.time {
            break;
        }
        let fresh = data::random(round << 32, usize::try_from(options.writes * options.block)?);
        let start = Instant::now();
        for page in fresh.chunks_exact(usize::try_from(options.block)?) {
            target.write(random.below((options.mib << 20) / options.block) * options.block, page)?;
        }
        target.sync()?;
        let wrote = start.elapsed().as_secs_f64();
        let start = Instant::now();
        target.snapshot(round)?;
        let snapshot = start.elapsed().as_secs_f64() * 1e3;
        let bytes = written(options)?;
        println!(
            "{{\"round\": {round}, \"writes_per_second\": {:.0}, \"snapshot_ms\": {snapshot:.3}, \"device_bytes\": {}}}",
            options.writes as f64 / wrote,
            bytes - bytes_before,
        );
        bytes_before = bytes;
    }
    Ok(())
}

/// Bytes that the device was told to write so far.
fn written(options: &Options) -> Result<u64, Box<dyn Error>> {
    let Some(device) = &options.device else { return Ok(0) };
    let stat = fs::read_to_string(format!("/sys/block/{device}/stat"))?;
    let sectors: u64 = stat.split_whitespace().nth(6).ok_or("the device's counters are short")?.parse()?;
    Ok(sectors * 512)
}
