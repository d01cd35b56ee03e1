//! Does speed decay as snapshots pile up? Rounds of random writes of bytes never seen before, sync and snapshot.
//!
//! `engine-rounds [ROUNDS [WRITES [MIB [BLOCK]]]]`, by default 100 rounds of 2,000 writes of one 4 KiB block into a file
//! of 1,024 MiB. Prints writes/s, the snapshot's time and the write amplification (bytes to segments and the log / bytes
//! written) at rounds 1, 2, 5, 10, 20, 50 and so on.

use std::env;
use std::error::Error;
use std::time::Instant;

use cow_benches::data;
use cow_benches::engine::{Engine, context, create_file, now, write};
use cow_storage::catalog::Properties;
use cow_storage::format::InodeNumber;
use cow_storage::fs::Stability;
use cow_tests::random::Random;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<u64> = env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let argument = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let (rounds, writes, mib, block) = (argument(0, 100), argument(1, 2000), argument(2, 1024), argument(3, 4096));
    let engine = Engine::new("rounds");
    let properties = Properties { block_size: u32::try_from(block)?, ..Properties::default() };
    engine.pool.create_dataset("d", &properties, now())?;
    let files = engine.pool.file_system("d")?;
    let file = create_file(&*files, InodeNumber::ROOT, "file");
    for at in 0..mib {
        write(&*files, file, at << 20, &data::random(at, 1 << 20));
    }
    files.sync(file)?;
    engine.pool.commit(now())?;

    let mut random = Random::new(1);
    let (mut since, mut bytes_before) = (0, device_bytes(&engine));
    for round in 1..=rounds {
        let fresh = data::random(round << 32, usize::try_from(writes * block)?);
        let start = Instant::now();
        for page in fresh.chunks_exact(usize::try_from(block)?) {
            let at = random.below((mib << 20) / block) * block;
            files.write(&context(), file, at, page, Stability::Unstable)?;
        }
        files.sync(file)?;
        let wrote = start.elapsed().as_secs_f64();
        let start = Instant::now();
        engine.pool.snapshot(&[("d", &format!("round{round}"))], now())?;
        let snapshot = start.elapsed().as_secs_f64();
        since += 1;
        if ["1", "2", "5"].contains(&round.to_string().trim_end_matches('0')) || round == rounds {
            let amplification = (device_bytes(&engine) - bytes_before) as f64 / (since * writes * block) as f64;
            println!(
                "round {round}: {:.0} writes/s, snapshot {:.2} ms, amplification {amplification:.2}x",
                writes as f64 / wrote,
                snapshot * 1e3,
            );
            (since, bytes_before) = (0, device_bytes(&engine));
        }
    }
    Ok(())
}

fn device_bytes(engine: &Engine) -> u64 {
    let counters = engine.pool.counters();
    counters.segment_bytes + counters.log_bytes
}
