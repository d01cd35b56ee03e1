//! Runs a test again and again, each time in another order of events.
//!
//! `COW_ROUNDS` is how many times as long as usual to try, each time with other seeds; `COW_FIRST_ROUND` is the one to
//! begin with. With shuttle, the order of a failure is written to a file in the directory `COW_SCHEDULES`, and followed again
//! when that file is named by `COW_SCHEDULE`. With `COW_TELL` tests tell what they do.

use crate::media::Choices;

#[cfg(cow_shuttle)]
pub use shuttle::thread;
#[cfg(not(cow_shuttle))]
pub use std::thread;

fn rounds() -> std::ops::Range<u64> {
    let number = |name, usual| std::env::var(name).map_or(usual, |value| value.parse().expect("it is a number"));
    let first = number("COW_FIRST_ROUND", 0);
    first..first.saturating_add(number("COW_ROUNDS", 1))
}

/// Runs `test` in `count` orders a round; what it does at random it takes from its argument.
#[cfg(cow_shuttle)]
pub fn in_many_orders(count: usize, test: fn(Choices)) {
    use shuttle::rand::RngCore;
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
    use shuttle::{Config, FailurePersistence, Runner};

    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    if let Some(directory) = std::env::var_os("COW_SCHEDULES") {
        config.failure_persistence = FailurePersistence::File(Some(directory.into()));
    }
    let body = move || test(Choices::new(shuttle::rand::thread_rng().next_u64()));
    if let Ok(name) = std::env::var("COW_SCHEDULE") {
        let scheduler = ReplayScheduler::new_from_file(name).expect("a schedule is read");
        Runner::new(scheduler, config).run(body);
        return;
    }
    for round in rounds() {
        // Half at random, which switches all the time; half with few switches, at places that are as unlikely as others.
        Runner::new(RandomScheduler::new_from_seed(round, count.div_ceil(2)), config.clone()).run(body);
        let depth = 2 + round as usize % 3;
        Runner::new(PctScheduler::new_from_seed(round, depth, count / 2), config.clone()).run(body);
    }
}

/// The same on real threads, which bring the order; the less often, as that costs more there.
#[cfg(not(cow_shuttle))]
pub fn in_many_orders(count: usize, test: fn(Choices)) {
    struct Tell(u64);
    impl Drop for Tell {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("it failed with the seed {}; the order of events may have been a rare one", self.0);
            }
        }
    }
    for seed in rounds().flat_map(|round| (0..count as u64 / 4).map(move |number| round << 32 | number)) {
        let _tell = Tell(seed);
        test(Choices::new(seed));
    }
}

/// A choice of its own for each of `count` threads.
pub fn split(choices: &mut Choices, count: usize) -> Vec<Choices> {
    (0..count).map(|_| Choices::new(choices.below(u64::MAX))).collect()
}

/// Tells what is done, if that is wanted.
pub fn tell(what: impl Fn() -> String) {
    if std::env::var_os("COW_TELL").is_some() {
        eprintln!("{}", what());
    }
}
