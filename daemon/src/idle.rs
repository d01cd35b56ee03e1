//! Notices when nothing has been asked of the pool for a while.
//!
//! Invariant: each time of quiet is told of once, however long it lasts.

use std::time::{Duration, Instant};

use cow_storage::pool::Counters;

/// A watch on what the pool does.
pub struct Quiet {
    /// How long it must be quiet; zero is never.
    after: Duration,
    seen: Counters,
    since: Instant,
    is_told: bool,
}

impl Quiet {
    /// A watch that begins at `now`.
    pub fn new(after: Duration, now: Instant) -> Self {
        Self { after, seen: Counters::default(), since: now, is_told: false }
    }

    /// Looks at the counters; returns whether it has been quiet for long enough, and was not yet said to be.
    pub fn look(&mut self, counters: &Counters, now: Instant) -> bool {
        let work = work_of(counters);
        if work != self.seen {
            (self.seen, self.since, self.is_told) = (work, now, false);
        }
        let is_due = !self.is_told && !self.after.is_zero() && now.duration_since(self.since) >= self.after;
        self.is_told |= is_due;
        is_due
    }
}

/// What is not done for nobody: bytes read and written, and what was not in memory. Commits that find nothing to do do not
/// count, nor does a client that only asks whether a file it knows has changed.
fn work_of(counters: &Counters) -> Counters {
    let Counters { log_bytes, segment_bytes, written_bytes, read_bytes, block_misses, node_misses, .. } = *counters;
    Counters { log_bytes, segment_bytes, written_bytes, read_bytes, block_misses, node_misses, ..Counters::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_told_of_once_and_ends_with_work() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut counters = Counters { read_bytes: 7, ..Counters::default() };
        let mut quiet = Quiet::new(Duration::from_secs(10), began);
        let told: Vec<u64> = (0..100)
            .filter(|second| {
                counters.commits += 1;
                counters.node_hits += 1;
                counters.node_misses += u64::from([5, 14, 40].contains(second));
                quiet.look(&counters, at(*second))
            })
            .collect();
        assert_eq!(told, [24, 50]);
        let mut never = Quiet::new(Duration::ZERO, began);
        assert!(!(0..100).any(|second| never.look(&counters, at(second))));
    }
}
