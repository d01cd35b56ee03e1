//! What a job has in hand: tells how far it is and what it did, and hears that it shall stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cow_api::v1::{Code, JobLevel, JobLine, JobState, Problem, Progress};
use parking_lot::Mutex;

use crate::clock;

/// The shortest time between two events of one job's progress, and between two looks at its rate.
const PACE: Duration = Duration::from_millis(250);
/// How much of the rate comes from before, of 1.
const MEMORY: f64 = 0.8;

/// Most lines of a job's log.
const LINES_MAX: usize = 10_000;
/// Most bytes of a line, and of the lines of a log together.
const LINE_LEN_MAX: usize = 128 << 10;
const LOG_LEN_MAX: usize = 4 << 20;

/// What a ticket's holder does as it gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It got on.
    Progress,
    /// It begins a step, which is to be remembered over a restart.
    Step,
}

/// What a job has in hand.
pub struct Ticket {
    id: u64,
    is_cancelled: AtomicBool,
    meter: Mutex<Meter>,
    lines: Mutex<Lines>,
    tell: Box<dyn Fn(News) + Send + Sync>,
}

/// A job's log, of bounded length.
#[derive(Default)]
struct Lines {
    kept: Vec<JobLine>,
    length: usize,
    left_out: u64,
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
    /// The ticket of job `id`, whose news are told by calling `tell` now and then.
    pub fn new(id: u64, tell: Box<dyn Fn(News) + Send + Sync>) -> Self {
        Self { id, is_cancelled: AtomicBool::new(false), meter: Mutex::default(), lines: Mutex::default(), tell }
    }

    /// The job's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Begins a step: tells it, and has it remembered over a restart. Returns whether to go on.
    pub fn step(&self, text: impl Into<String>) -> bool {
        self.note(JobLevel::Step, text);
        (self.tell)(News::Step);
        !self.is_cancelled()
    }

    /// Adds to the job's log, which is bounded: what is too much is left out, and counted.
    pub fn note(&self, level: JobLevel, text: impl Into<String>) {
        let at = clock::time(clock::now());
        self.lines.lock().add(JobLine { at, level, text: text.into() });
    }

    /// The job's log.
    pub fn lines(&self) -> Vec<JobLine> {
        self.lines.lock().shown()
    }

    /// Puts the lines of before a restart in front.
    pub(super) fn restore(&self, lines: Vec<JobLine>) {
        let mut log = self.lines.lock();
        lines.into_iter().for_each(|line| log.add(line));
    }

    /// Says that `done` bytes are done, of `total` where that is known. Returns whether to go on.
    pub fn progress(&self, done: u64, total: Option<u64>) -> bool {
        let due = self.meter.lock().update(done, total, Instant::now());
        if due {
            (self.tell)(News::Progress);
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

impl Lines {
    fn add(&mut self, mut line: JobLine) {
        if line.text.len() > LINE_LEN_MAX {
            let end = line.text.floor_char_boundary(LINE_LEN_MAX);
            line.text.truncate(end);
            line.text.push_str(" [cut]");
        }
        // What matters most is let in although the rest has filled the log: steps and errors are few.
        let matters = matches!(line.level, JobLevel::Step | JobLevel::Error) && self.kept.len() < 2 * LINES_MAX;
        if matters || self.kept.len() < LINES_MAX && self.length + line.text.len() <= LOG_LEN_MAX {
            self.length += line.text.len();
            self.kept.push(line);
        } else {
            self.left_out += 1;
        }
    }

    fn shown(&self) -> Vec<JobLine> {
        let mut lines = self.kept.clone();
        if let (Some(last), count @ 1..) = (lines.last(), self.left_out) {
            let text = format!("{count} more lines were left out, as the log had become too long");
            lines.push(JobLine { at: last.at, level: JobLevel::Info, text });
        }
        lines
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
