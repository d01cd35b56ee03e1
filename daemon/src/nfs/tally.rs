//! What a client does with a share, counted: totals, and rates over the last seconds.
//!
//! Invariant: counting takes no lock that another call waits for. Totals only grow; a rate is of calls that
//! were counted in the time it is told for.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Least time between two samples, in milliseconds.
const SAMPLE_MILLIS: u64 = 1000;
/// Samples that are kept.
const SAMPLES_MAX: usize = 8;
/// What rates are of: the last so many milliseconds.
const WINDOW_MILLIS: u64 = 8000;

/// Numbers that only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Calls run.
    pub calls: u64,
    /// Those with a status other than OK.
    pub errors: u64,
    /// Those that the share's rules did not admit.
    pub refused: u64,
    /// Calls answered from kept replies.
    pub replayed: u64,
    /// Bytes of files that READ returned.
    pub read_bytes: u64,
    /// Bytes of files that WRITE brought.
    pub written_bytes: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.calls += more.calls;
        self.errors += more.errors;
        self.refused += more.refused;
        self.replayed += more.replayed;
        self.read_bytes += more.read_bytes;
        self.written_bytes += more.written_bytes;
    }
}

/// How fast some totals have lately grown, in a second.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rates {
    /// Calls.
    pub calls: f64,
    /// Bytes read.
    pub read_bytes: f64,
    /// Bytes written.
    pub written_bytes: f64,
}

impl AddAssign for Rates {
    fn add_assign(&mut self, more: Self) {
        self.calls += more.calls;
        self.read_bytes += more.read_bytes;
        self.written_bytes += more.written_bytes;
    }
}

/// Totals while they grow. Moments are milliseconds by a clock that shows more than 0.
#[derive(Default)]
pub struct Tally {
    calls: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    replayed: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    last: AtomicU64,
    has_left: AtomicBool,
    sampled: AtomicU64,
    samples: Mutex<VecDeque<(u64, Totals)>>,
    is_retired: AtomicBool,
}

impl Tally {
    /// Counts what a call came to.
    pub fn count(&self, now: u64, more: &Totals) {
        self.sample(now);
        for (counter, more) in [
            (&self.calls, more.calls),
            (&self.errors, more.errors),
            (&self.refused, more.refused),
            (&self.replayed, more.replayed),
            (&self.read_bytes, more.read_bytes),
            (&self.written_bytes, more.written_bytes),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
        self.last.store(now, Ordering::Relaxed);
        if self.has_left() {
            self.has_left.store(false, Ordering::Relaxed);
        }
    }

    /// Notes the totals from before this call, unless that was done a moment ago or is being done.
    fn sample(&self, now: u64) {
        let sampled = self.sampled.load(Ordering::Relaxed);
        if sampled > 0 && now < sampled + SAMPLE_MILLIS {
            return;
        }
        if let Some(mut samples) = self.samples.try_lock() {
            self.sampled.store(now, Ordering::Relaxed);
            samples.push_back((now, self.totals()));
            if samples.len() > SAMPLES_MAX {
                samples.pop_front();
            }
        }
    }

    /// What was counted.
    pub fn totals(&self) -> Totals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            calls: get(&self.calls),
            errors: get(&self.errors),
            refused: get(&self.refused),
            replayed: get(&self.replayed),
            read_bytes: get(&self.read_bytes),
            written_bytes: get(&self.written_bytes),
        }
    }

    /// How fast it has lately grown.
    pub fn rates(&self, now: u64) -> Rates {
        let samples = self.samples.lock();
        let Some((at, then)) = samples.iter().find(|(at, _)| at + WINDOW_MILLIS >= now) else {
            return Rates::default();
        };
        let totals = self.totals();
        let seconds = now.saturating_sub(*at).max(SAMPLE_MILLIS) as f64 / 1000.0;
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Rates {
            calls: rate(totals.calls, then.calls),
            read_bytes: rate(totals.read_bytes, then.read_bytes),
            written_bytes: rate(totals.written_bytes, then.written_bytes),
        }
    }

    /// When the last call was counted.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Notes that the client said that it has unmounted the share.
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::Relaxed);
    }

    /// Whether the client has said so, and done nothing since.
    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    /// Takes everything away, to be kept elsewhere.
    pub fn retire(&self) -> Totals {
        self.is_retired.store(true, Ordering::Release);
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Totals {
            calls: take(&self.calls),
            errors: take(&self.errors),
            refused: take(&self.refused),
            replayed: take(&self.replayed),
            read_bytes: take(&self.read_bytes),
            written_bytes: take(&self.written_bytes),
        }
    }

    /// Whether somebody has taken everything away, so that another counts in its place.
    pub fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds() {
        let tally = Tally::default();
        let call = Totals { calls: 1, read_bytes: 1000, ..Totals::default() };
        assert_eq!(tally.rates(1), Rates::default());
        // Ten calls in a second, for a minute.
        for millis in (1000..61_000).step_by(100) {
            tally.count(millis, &call);
        }
        let rates = tally.rates(61_000);
        assert!((9.9..10.5).contains(&rates.calls) && (9_900.0..10_500.0).contains(&rates.read_bytes), "{rates:?}");
        assert_eq!((tally.totals().calls, tally.totals().read_bytes, tally.last()), (600, 600_000, 60_900));
        // Then nothing, and once more after a while.
        assert!(tally.rates(65_000).calls < 8.0);
        assert_eq!(tally.rates(70_000), Rates::default());
        tally.count(80_000, &call);
        assert_eq!(tally.rates(80_000).calls, 1.0);
        assert_eq!(tally.rates(84_000).calls, 0.25);
    }

    #[test]
    fn what_is_taken_away_is_all_of_it() {
        let tally = Tally::default();
        let all = Totals { calls: 1, errors: 2, refused: 3, replayed: 4, read_bytes: 5, written_bytes: 6 };
        tally.count(1000, &all);
        assert!(!tally.has_left() && !tally.is_retired());
        tally.leave();
        assert!(tally.has_left());
        tally.count(1000, &all);
        assert!(!tally.has_left());
        let mut twice = all;
        twice += all;
        assert_eq!((tally.retire(), tally.totals(), tally.is_retired()), (twice, Totals::default(), true));
    }
}
