//! Makes a pool that knows of far more bytes than there is disk.
//!
//! `engine-generate FOLDER GIB CLONES`: a pool in FOLDER with a dataset `d` of GIB, whose blocks all differ and compress to
//! next to nothing, a snapshot of it, and clones of that with a changed block in each GiB. Blocks of 64 KiB, extents of 128.
//! Prints the seconds that it took.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use cow_benches::engine::{Engine, context, create_file, now, write};
use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::format::InodeNumber;

const MIB: usize = 1 << 20;
const BLOCK: usize = 64 << 10;
const FILE_LEN: u64 = 16 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, gib, clones] = &words[..] else { return Err("say where, how many GiB, and how many clones".into()) };
    let (gib, clones): (u64, u64) = (gib.parse()?, clones.parse()?);
    let began = Instant::now();
    let engine = Engine::kept(Path::new(folder))?;
    let properties = Properties { block_size: BLOCK as u32, extent_size: 128 << 10, ..Properties::default() };
    engine.pool.create_dataset("d", &properties, now())?;
    fill(&engine, gib << 30)?;
    engine.pool.snapshot(&[("d", "full")], now())?;
    for clone in 0..clones {
        let name = format!("clone{clone}");
        engine.pool.clone_snapshot("d@full", &name, &PropertyChange::default(), now())?;
        let files = engine.pool.file_system(&name)?;
        let file = files.lookup(&context(), InodeNumber::ROOT, b"0")?.inode;
        for at in (0..FILE_LEN.min(gib << 30)).step_by(1 << 30) {
            write(&*files, file, at, &(clone + 1).to_le_bytes());
        }
    }
    engine.pool.commit(now())?;
    println!("{:.1}", began.elapsed().as_secs_f64());
    Ok(())
}

/// Files of 16 GiB, until all bytes are there.
fn fill(engine: &Engine, length: u64) -> Result<(), Box<dyn Error>> {
    let files = engine.pool.file_system("d")?;
    let mut piece = vec![0; MIB];
    let mut number: u64 = 0;
    for start in (0..length).step_by(FILE_LEN as usize) {
        let file = create_file(&*files, InodeNumber::ROOT, &(start / FILE_LEN).to_string());
        for at in (0..FILE_LEN.min(length - start)).step_by(MIB) {
            for block in piece.chunks_exact_mut(BLOCK) {
                number += 1;
                block[..8].copy_from_slice(&number.to_le_bytes());
            }
            write(&*files, file, at, &piece);
        }
    }
    Ok(())
}
