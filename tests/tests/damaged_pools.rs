//! A pool with one structure overwritten: it opens or says why not, reads what was written or an error, and goes on.
//!
//! `COW_FUZZ_SECS=3600 cargo test --release -p cow-tests --test damaged_pools -- --ignored --nocapture` goes on for an
//! hour; `COW_FUZZ_SEED=n` begins at the round n.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, process, thread};

use cow_tests::fuzz::Specimen;

/// Rounds in every run of the tests.
const ROUNDS: u64 = 150;
/// No round takes longer, on the slowest machine.
const ROUND_SECS_MAX: u64 = 120;

/// The round under way.
static ROUND: AtomicU64 = AtomicU64::new(0);

#[test]
fn damage_is_told_and_nothing_panics() {
    run(0..ROUNDS, None);
}

#[test]
#[ignore = "takes as long as it is told"]
fn for_as_long_as_it_is_told() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let first = number("COW_FUZZ_SEED").unwrap_or(now.as_secs() << 20);
    run(first.., Some(Duration::from_secs(number("COW_FUZZ_SECS").unwrap_or(60))));
}

fn run(rounds: impl Iterator<Item = u64>, time: Option<Duration>) {
    watch();
    let specimen = Specimen::new().unwrap();
    println!("in use: {:?}", specimen.live_kinds());
    let (began, mut failed) = (Instant::now(), Vec::new());
    let (mut count, mut refused, mut unreadable, mut told) = (0, 0, 0, 0);
    for round in rounds.take_while(|_| time.is_none_or(|time| began.elapsed() < time)) {
        ROUND.store(round, Ordering::Relaxed);
        match panic::catch_unwind(AssertUnwindSafe(|| specimen.round(round))) {
            Ok(outcome) => {
                refused += u64::from(outcome.refused.is_some());
                unreadable += u64::from(!outcome.unreadable.is_empty());
                told += u64::from(!outcome.damage.is_empty());
                if env::var("COW_FUZZ_TELL").is_ok() {
                    println!("{round}: {outcome:#?}");
                }
            }
            Err(_) => failed.push(round),
        }
        count += 1;
        if failed.len() > 20 {
            break;
        }
    }
    println!("{count} rounds: {refused} pools refused, {unreadable} read in part, {told} with damage told");
    assert!(failed.is_empty(), "these rounds failed: {failed:?}");
    assert!(refused > 0 && unreadable > 0 && told > 0, "the damage did not hit anything");
}

/// Ends the process when a round hangs, and says which.
fn watch() {
    thread::spawn(|| {
        let (mut round, mut since) = (0, Instant::now());
        loop {
            thread::sleep(Duration::from_millis(200));
            let now = ROUND.load(Ordering::Relaxed);
            if now != round {
                (round, since) = (now, Instant::now());
            }
            if since.elapsed() > Duration::from_secs(ROUND_SECS_MAX) {
                eprintln!("round {round} hangs");
                process::abort();
            }
        }
    });
}
