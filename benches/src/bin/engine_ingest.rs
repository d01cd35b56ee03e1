//! Copies directories into a fresh engine, one snapshot each, and prints one line of JSON for each.
//!
//! `engine-ingest [--block BYTES] [--extent BYTES] DIRECTORY..`: every further directory is copied onto a clone of
//! nothing but deduplicates against all before it, as a second ingest does.

use std::error::Error;
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use cow_benches::engine::{Engine, now};
use cow_storage::catalog::Properties;
use cowd::workflows::{ImportOptions, import};

fn main() -> Result<(), Box<dyn Error>> {
    let mut properties = Properties::default();
    let mut directories = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or("a number of bytes is missing");
        match argument.as_str() {
            "--block" => properties.block_size = number()?,
            "--extent" => properties.extent_size = number()?,
            _ => directories.push(argument),
        }
    }
    let engine = Engine::new("ingest");
    for (number, directory) in directories.iter().enumerate() {
        ingest(&engine, &properties, Path::new(directory), &format!("set{number}"))?;
    }
    Ok(())
}

fn ingest(engine: &Engine, properties: &Properties, from: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let (stored_before, cpu_before) = (engine.pool.space()?.live, cpu_seconds()?);
    let start = Instant::now();
    engine.pool.create_dataset(name, properties, now())?;
    let files = engine.pool.file_system(name)?;
    let copied = import(from, &*files, &ImportOptions::default(), &|_| true)?.copied;
    engine.pool.snapshot(&[(name, "copied")], now())?;
    engine.pool.commit(now())?;
    let seconds = start.elapsed().as_secs_f64();
    let stored = engine.pool.space()?.live - stored_before;
    println!(
        "{{\"set\": {:?}, \"objects\": {}, \"bytes\": {}, \"seconds\": {seconds:.3}, \"cpu_seconds\": {:.2}, \
         \"stored_bytes\": {stored}, \"host_bytes\": {}}}",
        from.display().to_string(),
        copied.names(),
        copied.bytes,
        cpu_seconds()? - cpu_before,
        engine.host_bytes(),
    );
    Ok(())
}

/// User and system time of this process, all threads.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u64 =
        fields.get(11..13).ok_or("/proc/self/stat is short")?.iter().flat_map(|text| text.parse::<u64>()).sum();
    Ok(ticks as f64 / 100.0)
}
