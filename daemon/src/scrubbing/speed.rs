//! How fast scrubbing is, and how fast it may be.

use std::time::{Duration, Instant};

use cow_storage::pool::Counters;

/// Most bytes of a step, while nobody else reads or writes and while somebody does.
const BUDGETS: [u64; 2] = [4 << 20, 1 << 20];
/// Steps in a second, at least: so that one is told soon to wait.
const STEPS_A_SECOND: u64 = 4;
/// How long it rests after a step while somebody reads or writes, in times that the step took.
const BUSY_RESTS: u32 = 3;

/// Bytes a second since scrubbing goes on without a break.
#[derive(Debug, Default)]
pub struct Speed {
    began: Option<Instant>,
    bytes: u64,
}

impl Speed {
    /// Begins to measure with the next step.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Notes a step that has ended now. The first only begins the measure.
    pub fn note(&mut self, bytes: u64, now: Instant) {
        match self.began {
            Some(_) => self.bytes += bytes,
            None => self.began = Some(now),
        }
    }

    /// Bytes a second, as far as that is known.
    pub fn rate(&self, now: Instant) -> Option<f64> {
        let took = now.duration_since(self.began?).as_secs_f64();
        (self.bytes > 0 && took > 0.0).then(|| self.bytes as f64 / took)
    }
}

/// Keeps scrubbing to its rate, and others from waiting for it.
#[derive(Debug)]
pub struct Throttle {
    rate: u64,
    seen: u64,
    is_busy: bool,
}

impl Throttle {
    /// At most so many bytes in a second.
    pub fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), seen: 0, is_busy: false }
    }

    /// How much the next step may read.
    pub fn budget(&mut self, counters: &Counters) -> u64 {
        self.look(counters);
        BUDGETS[usize::from(self.is_busy)].min(self.rate / STEPS_A_SECOND)
    }

    /// How long to rest after a step that read so much and took so long.
    pub fn rest(&mut self, bytes: u64, took: Duration, counters: &Counters) -> Duration {
        // What others did while it rested before counts as well.
        let was_busy = self.is_busy;
        self.look(counters);
        let of_rate = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.rate).saturating_sub(took);
        let of_others = if was_busy || self.is_busy { took * BUSY_RESTS } else { Duration::ZERO };
        of_rate.max(of_others).max(Duration::from_millis(1))
    }

    fn look(&mut self, counters: &Counters) {
        // What scrubbing reads is in none of these.
        let work = counters.read_bytes + counters.written_bytes + counters.log_bytes;
        self.is_busy = work != self.seen;
        self.seen = work;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_to_its_rate_and_gives_way() {
        let millis = Duration::from_millis;
        let mut throttle = Throttle::new(50 << 20);
        let idle = Counters { read_bytes: 7, commits: 3, ..Counters::default() };
        let busy = Counters { read_bytes: 8, ..idle };
        throttle.look(&idle);
        assert_eq!(throttle.budget(&idle), 4 << 20);
        assert_eq!(throttle.rest(4 << 20, millis(30), &idle), millis(50));
        assert_eq!(throttle.rest(4 << 20, millis(300), &idle), millis(1));
        assert_eq!(throttle.rest(4 << 20, millis(300), &busy), millis(900));
        assert_eq!(throttle.budget(&Counters { log_bytes: 1, ..busy }), 1 << 20);
        assert_eq!(throttle.rest(1 << 20, millis(10), &Counters { log_bytes: 1, ..busy }), millis(30));
        assert_eq!(Throttle::new(1 << 20).budget(&idle), 256 << 10);
        let (mut speed, began) = (Speed::default(), Instant::now());
        speed.note(500, began);
        assert_eq!(speed.rate(began + millis(10)), None);
        speed.note(500, began + millis(500));
        assert_eq!(speed.rate(began + millis(500)), Some(1000.0));
        speed.reset();
        assert_eq!(speed.rate(began + millis(600)), None);
    }
}
