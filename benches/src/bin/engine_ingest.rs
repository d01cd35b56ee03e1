//! Copies directories into a fresh engine, one snapshot each, and prints one line of JSON for each.
//!
//! `engine-ingest [--block BYTES] [--extent BYTES] [--in-place] DIRECTORY..`: every further directory gets a dataset of its
//! own, where it is deduplicated against all before it, or is copied over what the first one left. Processor time is the
//! machine's, so that the kernel's threads count.

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
    let mut in_place = false;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or("a number of bytes is missing");
        match argument.as_str() {
            "--block" => properties.block_size = number()?,
            "--extent" => properties.extent_size = number()?,
            "--in-place" => in_place = true,
            _ => directories.push(argument),
        }
    }
    let engine = Engine::new("ingest");
    for (number, directory) in directories.iter().enumerate() {
        let target = Target { name: if in_place { "set".to_owned() } else { format!("set{number}") }, number };
        if number == 0 || !in_place {
            engine.pool.create_dataset(&target.name, &properties, now())?;
        }
        ingest(&engine, Path::new(directory), &target)?;
    }
    Ok(())
}

/// The dataset that a directory goes into, and how many went before it.
struct Target {
    name: String,
    number: usize,
}

fn ingest(engine: &Engine, from: &Path, target: &Target) -> Result<(), Box<dyn Error>> {
    let name = &*target.name;
    let (stored_before, cpu_before) = (engine.pool.space()?.live, cpu_seconds()?);
    let start = Instant::now();
    let files = engine.pool.file_system(name)?;
    let copied = import(from, &*files, &ImportOptions::default(), &|_| true)?.copied;
    engine.pool.snapshot(&[(name, &*format!("copied{}", target.number))], now())?;
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

/// Processor time that anybody took since the start, over all processors: all but what was idle or waited.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> = stat.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
    let [user, nice, system, _, _, interrupts, soft_interrupts, stolen] = fields[..] else {
        return Err("/proc/stat is short".into());
    };
    Ok((user + nice + system + interrupts + soft_interrupts + stolen) as f64 / 100.0)
}
