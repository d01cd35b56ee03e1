//! The thread that scrubs: it goes on with the pass that runs, and begins one when its time has come.
//!
//! Invariant: what is known of a pass is the pool's, so that it is the same after a restart. Here is only how fast it is. Nobody
//! waits for a step: it reads a little at a time, at no more than the configured rate, and a fraction of that while others want
//! the disk.

mod speed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cow_api::v1::{Happening, Scrub, ScrubProgress, ScrubState};
use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::Timestamp;
use cow_storage::pool::{Pass, PassState, Pool};
use parking_lot::Mutex;

use crate::bell::Bell;
use crate::clock;
use crate::damage::{Damages, shown_damage};
use crate::events::Events;
use crate::logging::Chain;
use crate::metrics::Page;
use crate::scrubbing::speed::{Speed, Throttle};

/// How long the thread waits when there is nothing to do: the clock may be set meanwhile.
const IDLE_REST: Duration = Duration::from_secs(60);
/// The shortest and the longest wait after a step that failed; it doubles with each.
const FAILED_RESTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// How much is scrubbed when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long after a pass is over the next one begins by itself; zero is never.
    pub interval: Duration,
    /// Most bytes that are read in a second.
    pub rate: u64,
}

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin, or go on with what is paused.
    Start {
        /// Begin whatever is under way.
        anew: bool,
    },
    /// Wait, until it is started again.
    Pause,
    /// End where it is.
    Cancel,
}

/// The thread. Dropping it stops it.
pub struct Scrubber {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    pool: Pool,
    pace: Pace,
    damages: Arc<Damages>,
    events: Arc<Events>,
    bell: Bell,
    speed: Mutex<Speed>,
    read: AtomicU64,
    finished: AtomicU64,
}

impl Scrubber {
    /// Begins to look after the passes of `pool`.
    pub fn start(pool: Pool, pace: Pace, damages: Arc<Damages>, events: Arc<Events>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            pool,
            pace,
            damages,
            events,
            bell: Bell::default(),
            speed: Mutex::default(),
            read: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        });
        let its = shared.clone();
        let thread = thread::Builder::new().name("scrub".to_owned()).spawn(move || its.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Does what a user orders. It is durable when this returns.
    pub fn order(&self, order: Order) -> Result<()> {
        let (pool, now) = (&self.shared.pool, clock::now());
        match order {
            Order::Start { anew } => pool.scrub_start(anew, now)?,
            Order::Pause => pool.scrub_pause(now)?,
            Order::Cancel => pool.scrub_cancel(now)?,
        }
        self.shared.speed.lock().reset();
        self.shared.publish();
        self.shared.bell.ring();
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self) -> ScrubProgress {
        self.shared.progress(self.shared.pool.scrub_pass().as_ref())
    }

    /// How far it is, and what it found.
    pub fn shown(&self) -> Scrub {
        let pass = self.shared.pool.scrub_pass();
        let damage = pass.iter().flat_map(|pass| pass.damage.iter()).map(shown_damage).collect();
        Scrub { progress: self.shared.progress(pass.as_ref()), damage }
    }

    /// Ends the thread after the step that it is in.
    pub fn stop(&self) {
        self.shared.bell.stop();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    /// Tells how far it is, and what was done.
    pub fn metrics(&self, page: &mut Page) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        page.counter("cow_scrubbed_bytes_total", "Stored bytes that scrubbing read.", count(&self.shared.read));
        page.counter("cow_scrubs_total", "Scrubs that came to their end.", count(&self.shared.finished));
        let progress = self.progress();
        let is = |state| u64::from(progress.state == state);
        page.gauge("cow_scrub_running", "1 while a scrub goes on.", is(ScrubState::Running));
        page.gauge("cow_scrub_paused", "1 while a scrub is paused.", is(ScrubState::Paused));
        page.gauge("cow_scrub_progress_ratio", "How far the last scrub came, of 1.", progress.percent / 100.0);
        page.gauge("cow_scrub_damage", "Damage that the last scrub found so far.", progress.found);
        let finished = progress.finished.map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanoseconds) / 1e9);
        let help = "When a scrub last came to its end, since 1970; 0 if none did.";
        page.gauge("cow_scrub_finished_time_seconds", help, finished);
        let help = "Damage that the scrub found that last came to its end.";
        page.gauge("cow_scrub_finished_damage", help, progress.finished_found);
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self) {
        let (mut rest, mut failed_rest) = (Duration::ZERO, FAILED_RESTS[0]);
        let mut throttle = Throttle::new(self.pace.rate);
        while self.bell.rest(rest) {
            let pass = self.pool.scrub_pass();
            let outcome = match self.due_in(pass.as_ref(), clock::now()) {
                Some(Duration::ZERO) if pass.is_some_and(|pass| pass.is_under_way()) => self.step(&mut throttle),
                Some(Duration::ZERO) => self.begin().map(|()| Duration::ZERO),
                due => Ok(due.map_or(IDLE_REST, |due| due.min(IDLE_REST))),
            };
            rest = outcome.unwrap_or(failed_rest);
            failed_rest = if outcome.is_err() { (failed_rest * 2).min(FAILED_RESTS[1]) } else { FAILED_RESTS[0] };
        }
    }

    /// When there is something to do; `None` before somebody orders it, never.
    fn due_in(&self, pass: Option<&Pass>, now: Timestamp) -> Option<Duration> {
        match pass.map(|pass| pass.state) {
            Some(PassState::Running) => return Some(Duration::ZERO),
            Some(PassState::Paused) => return None,
            None | Some(PassState::Finished | PassState::Cancelled) if self.pace.interval.is_zero() => return None,
            _ => {}
        }
        // A clock that went back makes it later, but not for ever.
        let over = pass.map_or(i64::MIN, |pass| pass.since.seconds);
        let passed = Duration::from_secs(now.seconds.saturating_sub(over).max(0).unsigned_abs());
        Some(self.pace.interval.saturating_sub(passed))
    }

    /// Begins a pass by itself. Fails once it is logged.
    fn begin(&self) -> Result<(), ()> {
        self.heed(self.pool.scrub_start(false, clock::now()))?;
        self.speed.lock().reset();
        self.publish();
        Ok(())
    }

    /// Goes on with the pass, unless that was ended meanwhile. Returns how long to rest. Fails once it is logged.
    fn step(&self, throttle: &mut Throttle) -> Result<Duration, ()> {
        let began = Instant::now();
        let budget = throttle.budget(&self.pool.counters());
        let step = self.heed(self.pool.scrub_step(budget, clock::now()))?;
        step.damage.iter().for_each(|damage| self.damages.tell(damage));
        self.read.fetch_add(step.done, Ordering::Relaxed);
        self.speed.lock().note(step.done, Instant::now());
        let is_over = self.pool.scrub_pass().filter(|pass| pass.state == PassState::Finished && step.idle);
        if let Some(pass) = &is_over {
            self.tell_end(pass);
        }
        if is_over.is_some() || !step.damage.is_empty() {
            self.publish();
        }
        Ok(throttle.rest(step.done, began.elapsed(), &self.pool.counters()))
    }

    fn tell_end(&self, pass: &Pass) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        let Pass { bytes, objects, found, begun, since, .. } = *pass;
        let seconds = since.seconds.saturating_sub(begun.seconds);
        match found {
            0 => tracing::info!(bytes, objects, seconds, "scrubbed the pool: all is well"),
            _ => tracing::error!(bytes, objects, seconds, damaged = found, "scrubbed the pool, and found damage"),
        }
    }

    fn publish(&self) {
        let scrub = self.progress(self.pool.scrub_pass().as_ref());
        self.events.publish(Happening::Scrub { scrub: Box::new(scrub) });
    }

    /// Logs a failure. That the pool takes no more writes, others tell; and that a user was first is none.
    fn heed<T>(&self, outcome: Result<T>) -> Result<T, ()> {
        outcome.map_err(|error| {
            if !matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Conflict) {
                tracing::warn!(error = %Chain(&error), "cannot scrub; trying again");
            }
        })
    }

    fn progress(&self, pass: Option<&Pass>) -> ScrubProgress {
        let now = clock::now();
        let due = self.due_in(pass, now).filter(|_| pass.is_none_or(|pass| !pass.is_under_way()));
        let next = due.map(|due| clock::time(Timestamp { seconds: now.seconds + due.as_secs() as i64, ..now }));
        let Some(pass) = pass else { return ScrubProgress { next, ..ScrubProgress::default() } };
        let total = pass.total.max(pass.bytes);
        let is_running = pass.state == PassState::Running;
        let rate = self.speed.lock().rate(Instant::now()).filter(|_| is_running);
        ScrubProgress {
            state: shown_state(pass.state),
            begun: Some(clock::time(pass.begun)),
            since: Some(clock::time(pass.since)),
            percent: match pass.state {
                PassState::Finished => 100.0,
                // What was added while it read may make it read more than there was.
                _ => (pass.bytes as f64 * 100.0 / total.max(1) as f64).min(99.9),
            },
            bytes_done: pass.bytes,
            bytes_total: total,
            objects: pass.objects,
            rate: rate.unwrap_or(0.0),
            eta_seconds: rate.map(|rate| ((total - pass.bytes) as f64 / rate) as u64),
            found: pass.found,
            finished: pass.last.map(|last| clock::time(last.ended)),
            finished_found: pass.last.map_or(0, |last| last.found),
            next,
        }
    }
}

fn shown_state(state: PassState) -> ScrubState {
    match state {
        PassState::Running => ScrubState::Running,
        PassState::Paused => ScrubState::Paused,
        PassState::Finished => ScrubState::Finished,
        PassState::Cancelled => ScrubState::Cancelled,
    }
}

#[cfg(test)]
mod tests;
