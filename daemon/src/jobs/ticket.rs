//! What a job has in hand: tells how far it is, and hears that it shall stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cow_api::v1::{Code, JobState, Problem, Progress};
use parking_lot::Mutex;

/// The shortest time between two events of one job's progress, and between two looks at its rate.
const PACE: Duration = Duration::from_millis(250);
/// How much of the rate comes from before, of 1.
const MEMORY: f64 = 0.8;

/// What a job has in hand.
pub struct Ticket {
    is_cancelled: AtomicBool,
    meter: Mutex<Meter>,
    tell: Box<dyn Fn() + Send + Sync>,
}

/// How far it is, and how fast.
#[derive(Default)]
struct Meter {
    done: u64,
    total: Option<u64>,
    /// Bytes a second; `None` until some time went by.
    rate: Option<f64>,
    began: Option<Instant>,
    looked: Option<Instant>,
    looked_done: u64,
}

impl Ticket {
    /// A ticket whose holder's progress is told by calling `tell` now and then.
    pub fn new(tell: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { is_cancelled: AtomicBool::new(false), meter: Mutex::default(), tell }
    }

    /// Says that `done` bytes are done, of `total` where that is known. Returns whether to go on.
    pub fn progress(&self, done: u64, total: Option<u64>) -> bool {
        let due = self.meter.lock().update(done, total, Instant::now());
        if due {
            (self.tell)();
        }
        !self.is_cancelled()
    }

    /// Whether it shall stop.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// What a job that was told to stop ends with.
    pub fn cancelled(&self) -> Problem {
        Problem::new(Code::Cancelled, "the job was cancelled")
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    /// Begins to measure.
    pub(super) fn begin(&self) {
        let mut meter = self.meter.lock();
        meter.began = Some(Instant::now());
        meter.looked = meter.began;
    }

    /// How far it is, in that state.
    pub(super) fn shown(&self, state: JobState) -> Progress {
        self.meter.lock().shown(state)
    }
}

impl Meter {
    /// Returns whether it is time to tell.
    fn update(&mut self, done: u64, total: Option<u64>, now: Instant) -> bool {
        (self.done, self.total) = (done, total);
        let looked = *self.looked.get_or_insert(now);
        let elapsed = now.duration_since(looked);
        if elapsed < PACE {
            return false;
        }
        let lately = done.saturating_sub(self.looked_done) as f64 / elapsed.as_secs_f64();
        self.rate = Some(self.rate.map_or(lately, |before| MEMORY * before + (1.0 - MEMORY) * lately));
        (self.looked, self.looked_done) = (Some(now), done);
        true
    }

    fn shown(&self, state: JobState) -> Progress {
        let (is_done, elapsed) = (state == JobState::Done, self.began.map(|began| began.elapsed().as_secs_f64()));
        let whole = elapsed.filter(|seconds| *seconds > 0.0).map(|seconds| self.done as f64 / seconds);
        // Of one that has ended, the mean says more than the last moment.
        let rate = if state.has_ended() { whole } else { self.rate.or(whole) }.unwrap_or(0.0);
        let total = if is_done { Some(self.done) } else { self.total };
        let percent = match total {
            _ if is_done => Some(100.0),
            Some(0) | None => None,
            Some(total) => Some((self.done as f64 / total as f64 * 100.0).min(100.0)),
        };
        let rest = total.map(|total| total.saturating_sub(self.done) as f64);
        let eta = rest.filter(|_| state == JobState::Running && rate > 0.0).map(|rest| (rest / rate).ceil());
        Progress {
            state,
            percent,
            bytes_done: self.done,
            bytes_total: total,
            rate,
            eta_seconds: eta.map(|seconds| seconds as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_tells_at_its_pace_and_knows_what_is_left() {
        let start = Instant::now();
        let mut meter = Meter { began: Some(start), looked: Some(start), ..Meter::default() };
        let mut told = 0;
        // 1,000 bytes every 50 ms are 20,000 bytes a second.
        for tick in 1..=20_u32 {
            told += u32::from(meter.update(
                u64::from(tick) * 1000,
                Some(100_000),
                start + Duration::from_millis(50) * tick,
            ));
        }
        assert_eq!(told, 4);
        let shown = meter.shown(JobState::Running);
        assert!((shown.rate - 20_000.0).abs() < 1.0, "{shown:?}");
        assert_eq!((shown.percent, shown.eta_seconds), (Some(20.0), Some(4)));
        let done = meter.shown(JobState::Done);
        assert_eq!((done.percent, done.bytes_total, done.eta_seconds), (Some(100.0), Some(20_000), None));
        assert_eq!(Meter::default().shown(JobState::Queued).percent, None);
        meter.update(5, Some(0), start);
        assert_eq!(meter.shown(JobState::Running).percent, None);
        meter.update(5, Some(3), start);
        assert_eq!(meter.shown(JobState::Running).percent, Some(100.0));
    }
}
