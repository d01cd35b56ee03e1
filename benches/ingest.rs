//! How fast data of each kind comes in until it is durable: 64 MiB at a time, in process.

use std::time::{Duration, Instant};

use cow_benches::data;
use cow_benches::engine::{Engine, context, create_file, now, write};
use cow_storage::catalog::Properties;
use cow_storage::format::InodeNumber;
use cow_storage::fs::FileSystem;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const BYTES: usize = 64 << 20;

/// Bytes of a kind, by seed and length.
type Make = fn(u64, usize) -> Vec<u8>;

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Bytes(BYTES as u64)).sampling_mode(SamplingMode::Flat).sample_size(10);
    let kinds: [(&str, Make, u32); 3] = [
        ("database pages of 8 KiB", data::database, 8 << 10),
        ("incompressible", data::random, 16 << 10),
        ("already stored", |_, length| data::database(0, length), 8 << 10),
    ];
    for (name, make, block_size) in kinds {
        let engine = engine(name, block_size);
        let files = engine.pool.file_system("d").expect("the dataset is there");
        let mut seed = 0;
        let mut one = || {
            seed += 1;
            let bytes = make(seed, BYTES);
            let file_name = format!("file{seed}");
            timed(&engine, &*files, &[file_name], |inodes| write(&*files, inodes[0], 0, &bytes))
        };
        if name == "already stored" {
            write(&*files, create_file(&*files, InodeNumber::ROOT, "first"), 0, &make(0, BYTES));
            engine.settle();
        }
        group.bench_function(name, |bencher| bencher.iter_custom(|rounds| (0..rounds).map(|_| one()).sum()));
    }
    let engine = engine("source", 16 << 10);
    let files = engine.pool.file_system("d").expect("the dataset is there");
    let mut seed = 0;
    let mut one = || {
        seed += 1;
        let sizes = data::source_sizes(seed, BYTES);
        let bytes = data::source(seed, BYTES);
        let names: Vec<String> = (0..sizes.len()).map(|number| format!("file{number}")).collect();
        timed(&engine, &*files, &names, |inodes| {
            let mut rest = &bytes[..];
            for (inode, size) in inodes.iter().zip(&sizes) {
                let (file, after) = rest.split_at(*size);
                write(&*files, *inode, 0, file);
                rest = after;
            }
        })
    };
    group.bench_function("source tree", |bencher| bencher.iter_custom(|rounds| (0..rounds).map(|_| one()).sum()));
    group.finish();
}

fn engine(name: &str, block_size: u32) -> Engine {
    let engine = Engine::new(&name.replace(' ', "-"));
    let properties = Properties { block_size, ..Properties::default() };
    engine.pool.create_dataset("d", &properties, now()).expect("a dataset can be made");
    engine
}

/// The time to create, write and make durable; the files are removed again outside of it.
fn timed(engine: &Engine, files: &dyn FileSystem, names: &[String], fill: impl Fn(&[InodeNumber])) -> Duration {
    let start = Instant::now();
    let inodes: Vec<InodeNumber> = names.iter().map(|name| create_file(files, InodeNumber::ROOT, name)).collect();
    fill(&inodes);
    engine.pool.commit(now()).expect("the pool commits");
    let took = start.elapsed();
    for name in names {
        files.remove(&context(), InodeNumber::ROOT, name.as_bytes()).expect("a file can be removed");
    }
    engine.settle();
    took
}

criterion_group!(benches, ingest);
criterion_main!(benches);
