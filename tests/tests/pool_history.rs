//! Random histories of a whole pool, with crashes, are what plain models and the pool's promises allow.
//!
//! One that fails is made short and printed, with the command that replays it. `COW_SEEDS=from..to` sets the seeds of the
//! long run, `COW_STEPS` the length of its histories; `COW_REPLAY` is a program, as it was printed.

use std::env;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cow_tests::history::{Figures, Program, replay, run};

const QUICK_STEPS: u64 = 800;

/// Seeds after which the long run says how far it is.
const REPORT_SEEDS: u64 = 500;

fn quick(seeds: Range<u64>) {
    let passed = |seed| run(seed, QUICK_STEPS).unwrap_or_else(|failure| panic!("{failure}")).passed;
    let mut sum: u64 = seeds.map(passed).sum();
    // What is rare must come up all the same.
    let mut more = 1000..1050;
    while sum == 0 {
        sum += passed(more.next().expect("no verb passed a commit"));
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
fn a_program_does_the_same_each_time() {
    let all = Program::new(3, 300);
    let some = Program { steps: all.steps.iter().copied().filter(|step| step % 3 != 0).collect(), ..all.clone() };
    for program in [all, some] {
        let once = || format!("{:?}", replay(&program).unwrap_or_else(|failure| panic!("{failure}")));
        assert_eq!(once(), once());
    }
}

#[test]
#[ignore = "replays the program that COW_REPLAY has"]
fn a_failed_program_is_replayed() {
    let text = env::var("COW_REPLAY").expect("set COW_REPLAY to a program like 12:1-7,30");
    match replay(&text.parse().unwrap_or_else(|problem| panic!("{problem}"))) {
        Ok((figures, told)) => println!("{}\nit does not fail: {figures:#?}", told.join("\n")),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
#[ignore = "long: for the night, or COW_SEEDS=from..to"]
fn many_histories_keep_what_was_promised() {
    let seeds = env::var("COW_SEEDS").unwrap_or_else(|_| "100..200".to_owned());
    let (from, to) = seeds.split_once("..").expect("COW_SEEDS is like 100..200");
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    let steps = env::var("COW_STEPS").map_or(3000, |text| text.parse().expect("COW_STEPS is a number"));
    let (next, failures, sum) = (AtomicU64::new(from), Mutex::new(Vec::new()), Mutex::new(Figures::default()));
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < to) {
            match run(seed, steps) {
                Ok(figures) => sum.lock().unwrap().add(&figures),
                Err(failure) => {
                    println!("{failure}\n");
                    failures.lock().unwrap().push(seed);
                }
            }
            if (seed + 1 - from) % REPORT_SEEDS == 0 {
                println!("seed {seed}: {} failed, {:?}", failures.lock().unwrap().len(), sum.lock().unwrap());
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
    println!("seeds {from}..{to}, {steps} steps each: {:#?}", sum.into_inner().unwrap());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "of seeds {from}..{to} these fail: {failures:?}");
}
