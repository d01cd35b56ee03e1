//! How long a snapshot and a clone take: by the dataset's size, by how many there are, idle and under ingest.
//!
//! `COW_BENCH_COUNT_MAX` bounds the number of snapshots and clones (10,000 by default).

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_benches::data;
use cow_benches::engine::{Engine, create_file, now, write};
use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::format::InodeNumber;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};

const MIB: u64 = 1 << 20;

fn by_size(criterion: &mut Criterion) {
    let mut group = group(criterion, "clone by size");
    // One block in each 256 KiB of the larger ones: the tree is as deep as a full file's, and the bench can be run.
    for (name, length, step) in [
        ("1 MiB", MIB, 16 << 10),
        ("1 GiB sparse", 1024 * MIB, 256 << 10),
        ("64 GiB sparse", 64 * 1024 * MIB, 256 << 10),
    ] {
        let engine = filled(&name.replace(' ', "-"), length, step);
        measure(&mut group, name, &engine);
    }
    group.finish();
}

fn by_count(criterion: &mut Criterion) {
    let most = env::var("COW_BENCH_COUNT_MAX").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut group = group(criterion, "clone by count");
    let engine = filled("count", 64 * MIB, 16 << 10);
    let mut there = 0;
    for count in [0, 100, 1_000, 10_000].into_iter().filter(|count| *count <= most) {
        for number in there..count {
            let snapshot = format!("s{number}");
            engine.pool.snapshot(&[("d", &snapshot)], now()).expect("a snapshot can be taken");
            clone(&engine, &format!("d@{snapshot}"), &format!("c{number}"));
        }
        there = count;
        measure(&mut group, &format!("{count} snapshots and clones"), &engine);
    }
    group.finish();
}

fn under_ingest(criterion: &mut Criterion) {
    let mut group = group(criterion, "clone under ingest");
    let engine = filled("ingest", 64 * MIB, 16 << 10);
    engine.pool.create_dataset("other", &Properties::default(), now()).expect("a dataset can be made");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let files = engine.pool.file_system("other").expect("the dataset is there");
            let file = create_file(&*files, InodeNumber::ROOT, "file");
            let mut seed = 0;
            while !stop.load(Ordering::Relaxed) {
                seed += 1;
                write(&*files, file, (seed % 1024) * MIB, &data::database(seed, MIB as usize));
                if engine.pool.commit_due() {
                    engine.pool.commit(now()).expect("the pool commits");
                }
            }
        });
        measure(&mut group, "another dataset takes all it can", &engine);
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(3));
    group
}

fn filled(name: &str, length: u64, step: u64) -> Engine {
    let engine = Engine::new(name);
    engine.pool.create_dataset("d", &Properties::default(), now()).expect("a dataset can be made");
    let files = engine.pool.file_system("d").expect("the dataset is there");
    let file = create_file(&*files, InodeNumber::ROOT, "file");
    for number in 0..length / step {
        write(&*files, file, number * step, &data::random(number, 16 << 10));
        if engine.pool.commit_due() {
            engine.pool.commit(now()).expect("the pool commits");
        }
    }
    engine.settle();
    engine
}

/// The time of a snapshot, and of a clone of it; both are destroyed again outside of it.
fn measure(group: &mut BenchmarkGroup<WallTime>, name: &str, engine: &Engine) {
    let snapshot = || engine.pool.snapshot(&[("d", "measured")], now()).expect("a snapshot can be taken");
    let destroy = |name| engine.pool.destroy(name, false, now()).expect("what was made can be destroyed");
    group.bench_function(format!("{name}/snapshot"), |bencher| {
        bencher.iter_custom(|rounds| {
            let one = |_| {
                let took = timed(snapshot);
                destroy("d@measured");
                took
            };
            (0..rounds).map(one).sum()
        });
    });
    group.bench_function(format!("{name}/clone"), |bencher| {
        bencher.iter_custom(|rounds| {
            let one = |_| {
                snapshot();
                let took = timed(|| clone(engine, "d@measured", "measured"));
                destroy("measured");
                destroy("d@measured");
                took
            };
            (0..rounds).map(one).sum()
        });
    });
}

fn clone(engine: &Engine, snapshot: &str, name: &str) {
    engine.pool.clone_snapshot(snapshot, name, &PropertyChange::default(), now()).expect("a clone can be made");
}

fn timed<T>(act: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

criterion_group!(benches, by_size, by_count, under_ingest);
criterion_main!(benches);
