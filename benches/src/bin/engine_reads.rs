//! How fast is a file read that no cache has?
//!
//! `engine-reads [MIB [BLOCK [EXTENT]]]`, by default 2,048 MiB in blocks of 8 KiB and extents of 32 KiB: database pages, then
//! bytes that nothing compresses. Prints megabytes a second, of the file: in order with calls of 64 KiB, 256 KiB and 1 MiB, in
//! process and by NFS on the loopback with 8 calls in flight; `dd iflag=direct bs=1M` of a host file with the same
//! bytes; and calls a second for 8 KiB at random.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use std::{env, fs};

use cow_benches::data;
use cow_benches::engine::{Engine, context, create_file, now, write};
use cow_storage::catalog::Properties;
use cow_storage::format::InodeNumber;
use cow_tests::nfs_client::{Call, Client, Reader};
use cow_tests::random::Random;
use cow_tests::served::{open_access, serve};
use cowd::shares::{PoolViews, Share, Shares};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// READs in flight, as a kernel's client has them.
const DEPTH: usize = 8;
/// Bytes of one call.
const CALL_LENS: [usize; 3] = [64 << 10, 256 << 10, 1 << 20];
/// Bytes of one call at random.
const RANDOM_LEN: usize = 8 << 10;
/// Calls at random.
const RANDOM_CALLS: u64 = 50_000;

fn main() -> Outcome<()> {
    let arguments: Vec<u64> = env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let argument = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let (mib, block, extent) = (argument(0, 2048), argument(1, 8 << 10), argument(2, 32 << 10));
    let properties =
        Properties { block_size: u32::try_from(block)?, extent_size: u32::try_from(extent)?, ..Properties::default() };
    for (kind, bytes) in [("pages", data::database as fn(u64, usize) -> Vec<u8>), ("random", data::random)] {
        measure(kind, mib, &properties, bytes)?;
    }
    Ok(())
}

fn measure(kind: &str, mib: u64, properties: &Properties, bytes: fn(u64, usize) -> Vec<u8>) -> Outcome<()> {
    let mut engine = Engine::new(kind);
    let host_file = engine.directory().with_extension("host");
    fill(&engine, mib, properties, bytes, &host_file)?;
    println!("{kind}: dd {:.0} MB/s", dd(&host_file, mib)?);
    fs::remove_file(&host_file)?;
    for length in CALL_LENS {
        engine = engine.reopened();
        let in_process = in_process(&engine, mib << 20, length)?;
        engine = engine.reopened();
        let by_nfs = by_nfs(&engine, mib << 20, length)?;
        println!("{kind}: {} KiB calls, in process {in_process:.0} MB/s, by NFS {by_nfs:.0} MB/s", length >> 10);
    }
    engine = engine.reopened();
    println!("{kind}: {:.0}/s of 8 KiB at random", at_random(&engine, mib << 20)?);
    Ok(())
}

fn fill(
    engine: &Engine,
    mib: u64,
    properties: &Properties,
    bytes: fn(u64, usize) -> Vec<u8>,
    host_file: &Path,
) -> Outcome<()> {
    engine.pool.create_dataset("d", properties, now())?;
    let files = engine.pool.file_system("d")?;
    let file = create_file(&*files, InodeNumber::ROOT, "file");
    let mut host = File::create(host_file)?;
    for at in 0..mib {
        let piece = bytes(at, 1 << 20);
        write(&*files, file, at << 20, &piece);
        host.write_all(&piece)?;
    }
    files.sync(file)?;
    engine.settle();
    Ok(host.sync_all()?)
}

/// Megabytes a second that the host reads past its cache.
fn dd(file: &Path, mib: u64) -> Outcome<f64> {
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", file.display())).args(["of=/dev/null", "iflag=direct", "bs=1M"]).stderr(Stdio::null());
    let start = Instant::now();
    let status = dd.status()?;
    if status.success() { Ok(megabytes(mib << 20, start)) } else { Err(format!("dd: {status}").into()) }
}

fn in_process(engine: &Engine, size: u64, length: usize) -> Outcome<f64> {
    let files = engine.pool.file_system("d")?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let mut buffer = vec![0; length];
    let start = Instant::now();
    for offset in (0..size).step_by(length) {
        files.read(&context(), file, offset, &mut buffer)?;
    }
    Ok(megabytes(size, start))
}

fn by_nfs(engine: &Engine, size: u64, length: usize) -> Outcome<f64> {
    let shares = Arc::new(Shares::default());
    let dataset = engine.pool.dataset("d")?.id;
    shares.set(Share {
        path: "/d".to_owned(),
        dataset_name: "d".to_owned(),
        dataset,
        fsid: dataset.0,
        file_system: engine.pool.file_system("d")?,
        access: Arc::new(open_access()),
        access_from: None,
    });
    let server = serve(Arc::new(PoolViews::new(engine.pool.clone(), shares)));
    let mut client = Client::connect(server.local_addr()?)?;
    let root = client.mount("/d")?;
    let file = client.lookup(&root, b"file")?.0;
    let start = Instant::now();
    let calls = (0..size).step_by(length).map(|offset| Call::read(&file, offset, length as u32));
    client.pipeline(DEPTH, calls, |_, results| Reader(&results?).status())?;
    Ok(megabytes(size, start))
}

/// Calls a second.
fn at_random(engine: &Engine, size: u64) -> Outcome<f64> {
    let files = engine.pool.file_system("d")?;
    let file = files.lookup(&context(), InodeNumber::ROOT, b"file")?.inode;
    let (mut buffer, mut random) = (vec![0; RANDOM_LEN], Random::new(3));
    let start = Instant::now();
    for _ in 0..RANDOM_CALLS {
        let offset = random.below(size / RANDOM_LEN as u64) * RANDOM_LEN as u64;
        files.read(&context(), file, offset, &mut buffer)?;
    }
    Ok(RANDOM_CALLS as f64 / start.elapsed().as_secs_f64())
}

fn megabytes(bytes: u64, since: Instant) -> f64 {
    bytes as f64 / 1e6 / since.elapsed().as_secs_f64()
}
