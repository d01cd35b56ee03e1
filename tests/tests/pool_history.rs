//! Random histories of a whole pool, with crashes, are what plain models and the pool's promises allow.
//!
//! `COW_SEEDS=from..to` sets the seeds of the long run, `COW_STEPS` the length of its histories.

use std::env;
use std::ops::Range;
use std::panic;
use std::thread;

use cow_tests::history::run;

const QUICK_STEPS: u64 = 800;

fn quick(seeds: Range<u64>) {
    let mut passed: u64 = seeds.map(|seed| run(seed, QUICK_STEPS)).sum();
    // What is rare must come up all the same.
    let mut more = 1000..1050;
    while passed == 0 {
        passed += run(more.next().expect("no verb passed a commit"), QUICK_STEPS);
    }
}

#[test]
fn histories_keep_what_was_promised() {
    quick(0..10);
}

#[test]
fn more_histories_keep_what_was_promised() {
    quick(10..20);
}

#[test]
#[ignore = "long: for the night, or COW_SEEDS=from..to"]
fn many_histories_keep_what_was_promised() {
    let seeds = env::var("COW_SEEDS").unwrap_or_else(|_| "100..200".to_owned());
    let (from, to) = seeds.split_once("..").expect("COW_SEEDS is like 100..200");
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    let steps = env::var("COW_STEPS").map_or(3000, |text| text.parse().expect("COW_STEPS is a number"));
    let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
    let run_share = |worker: u64| {
        let seeds = (from + worker..to).step_by(workers as usize);
        seeds.filter(|seed| panic::catch_unwind(|| run(*seed, steps)).is_err()).collect::<Vec<_>>()
    };
    let failed: Vec<u64> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(move || run_share(worker))).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "of seeds {from}..{to} these fail: {failed:?}");
}
