//! Threads that keep the pool going: commits, giving space back, ending the wait of what was destroyed.
//!
//! Invariant: the watchdog is fed by the committing thread alone, after it found nothing to commit or committed, so
//! that a pool that hangs is noticed. A failed step is tried again, except on a poisoned pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::Timestamp;
use cow_storage::pool::Pool;
use parking_lot::Mutex;

use crate::bell::Bell;
use crate::clock;
use crate::damage::Damages;
use crate::idle::Quiet;
use crate::logging::Chain;
use crate::metrics::Page;
use crate::notify::Notifier;

/// How often the pool is asked whether a commit is due.
const COMMIT_POLL: Duration = Duration::from_millis(5);
/// Pointers freed in one step: while a commit works on them nobody else sees the catalog, for about 3 milliseconds.
const RECLAIM_BUDGET: u64 = 1 << 12;
/// Bytes moved in one step.
const CLEAN_BUDGET: u64 = 4 << 20;
/// How long the background rests when there is nothing to do.
const IDLE_REST: Duration = Duration::from_secs(2);
/// In times of quiet each cache is left so large a part of its budget.
const QUIET_PART: u64 = 64;
/// The shortest and the longest wait after a step that failed; it doubles with each.
const FAILED_RESTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// When what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Most time between two commits.
    pub commit_interval: Duration,
    /// How long what was destroyed can be undeleted.
    pub undelete_window: Duration,
    /// How long nothing must have been asked before memory is given back; zero is never.
    pub quiet_after: Duration,
}

/// The threads. Dropping it stops them.
pub struct Maintenance {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    pool: Pool,
    pace: Pace,
    notifier: Arc<Notifier>,
    on_poisoned: Box<dyn Fn() + Send + Sync>,
    is_poisoned: AtomicBool,
    reclaimed: AtomicU64,
    cleaned: AtomicU64,
    purged: AtomicU64,
    failed: AtomicU64,
    quiets: AtomicU64,
    when_quiet: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    damages: Arc<Damages>,
    bell: Bell,
}

impl Maintenance {
    /// Begins to look after `pool`, and tells `damages` what it comes upon. `on_poisoned` is called once, when the pool takes no more writes.
    pub fn start(
        pool: Pool,
        pace: Pace,
        notifier: Arc<Notifier>,
        damages: Arc<Damages>,
        on_poisoned: Box<dyn Fn() + Send + Sync>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            pool,
            pace,
            notifier,
            on_poisoned,
            is_poisoned: AtomicBool::new(false),
            reclaimed: AtomicU64::new(0),
            cleaned: AtomicU64::new(0),
            purged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            quiets: AtomicU64::new(0),
            when_quiet: Mutex::default(),
            damages,
            bell: Bell::default(),
        });
        let spawn = |name: &str, run: fn(&Shared)| {
            let shared = shared.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared))
        };
        let threads = Mutex::new(vec![spawn("commit", Shared::commit)?, spawn("background", Shared::background)?]);
        Ok(Self { shared, threads })
    }

    /// Asks the background to look for work now.
    pub fn wake(&self) {
        self.shared.bell.ring();
    }

    /// Has `release` called when nothing has been asked for a while, after the pool gave memory back.
    pub fn when_quiet(&self, release: Box<dyn Fn() + Send + Sync>) {
        self.shared.when_quiet.lock().push(release);
    }

    /// Whether the pool takes no more writes.
    pub fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned.load(Ordering::Acquire)
    }

    /// Ends the threads after the steps that they are in.
    pub fn stop(&self) {
        self.shared.bell.stop();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }

    /// Tells what was done.
    pub fn metrics(&self, page: &mut Page) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let shared = &self.shared;
        page.counter("cow_reclaimed_pointers_total", "Pointers of destroyed data freed.", count(&shared.reclaimed));
        page.counter(
            "cow_cleaned_bytes_total",
            "Bytes moved out of sparse segments, or given back inside others.",
            count(&shared.cleaned),
        );
        page.counter("cow_purged_total", "Destroyed datasets and snapshots purged.", count(&shared.purged));
        page.counter("cow_maintenance_failures_total", "Background steps that failed.", count(&shared.failed));
        page.counter(
            "cow_quiets_total",
            "Times that memory was given back as nothing was asked.",
            count(&shared.quiets),
        );
        shared.damages.metrics(page);
        let poisoned = u64::from(self.is_poisoned());
        page.gauge("cow_pool_poisoned", "1 when the pool takes no more writes until it is reopened.", poisoned);
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn commit(&self) {
        let mut committed = Instant::now();
        let mut fed = Instant::now();
        let mut failed_rest = FAILED_RESTS[0];
        // A third of what the manager allows, so that one late turn does not kill the daemon.
        let feed_after = self.notifier.watchdog().map(|limit| limit / 3);
        while self.bell.sleep(COMMIT_POLL) {
            if self.pool.commit_due() || committed.elapsed() >= self.pace.commit_interval {
                if self.step("commit", self.pool.commit(clock::now())).is_none() {
                    if !self.bell.sleep(failed_rest) {
                        return;
                    }
                    failed_rest = (failed_rest * 2).min(FAILED_RESTS[1]);
                    continue;
                }
                failed_rest = FAILED_RESTS[0];
                committed = Instant::now();
            }
            if feed_after.is_some_and(|after| fed.elapsed() >= after) {
                self.notifier.alive();
                fed = Instant::now();
            }
        }
    }

    fn background(&self) {
        let (mut rest, mut failed_rest) = (Duration::ZERO, FAILED_RESTS[0]);
        let mut quiet = Quiet::new(self.pace.quiet_after, Instant::now());
        while self.bell.rest(rest) {
            let began = Instant::now();
            let more = self.background_step();
            rest = match more {
                // Others want the disk as well: rest as long as the step took.
                Some(true) => began.elapsed().max(Duration::from_millis(1)),
                Some(false) => IDLE_REST,
                None => failed_rest,
            };
            if quiet.look(&self.pool.counters(), Instant::now()) {
                self.give_memory_back();
            }
            failed_rest = if more.is_none() { (failed_rest * 2).min(FAILED_RESTS[1]) } else { FAILED_RESTS[0] };
        }
    }

    /// Returns whether there is more to do, or `None` if a step failed.
    fn background_step(&self) -> Option<bool> {
        let now = clock::now();
        let purged = self.step("purge what was destroyed", self.pool.purge(self.purge_before(now), now))?;
        let reclaimed = self.step("reclaim", self.pool.reclaim_step(RECLAIM_BUDGET, now))?;
        let cleaned = self.step("clean", self.pool.clean_step(CLEAN_BUDGET, now))?;
        reclaimed.damage.iter().chain(&cleaned.damage).for_each(|damage| self.damages.tell(damage));
        self.purged.fetch_add(purged, Ordering::Relaxed);
        self.reclaimed.fetch_add(reclaimed.done, Ordering::Relaxed);
        self.cleaned.fetch_add(cleaned.done, Ordering::Relaxed);
        Some(purged > 0 || !reclaimed.idle || !cleaned.idle)
    }

    fn give_memory_back(&self) {
        self.pool.shrink_caches(QUIET_PART);
        self.when_quiet.lock().iter().for_each(|release| release());
        self.quiets.fetch_add(1, Ordering::Relaxed);
        tracing::debug!("nothing was asked for a while: memory was given back");
    }

    fn purge_before(&self, now: Timestamp) -> Timestamp {
        let window = i64::try_from(self.pace.undelete_window.as_secs()).unwrap_or(i64::MAX);
        Timestamp { seconds: now.seconds.saturating_sub(window), ..now }
    }

    /// Logs a failure, and tells once that the pool is poisoned.
    fn step<T>(&self, act: &str, outcome: Result<T>) -> Option<T> {
        let error = match outcome {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        if error.kind() != ErrorKind::Poisoned {
            tracing::warn!(error = %Chain(&error), "cannot {act}; trying again");
        } else if !self.is_poisoned.swap(true, Ordering::AcqRel) {
            tracing::error!(error = %Chain(&error), "the pool takes no more writes until it is reopened");
            self.notifier.status("a write failed: the pool must be reopened");
            (self.on_poisoned)();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use cow_storage::catalog::Properties;
    use cow_storage::executor::Inline;
    use cow_storage::format::PoolId;
    use cow_storage::media::{Media, Simulator};
    use cow_storage::pool::{Budgets, NewPool};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn pace(commit_millis: u64) -> Pace {
        Pace { commit_interval: Duration::from_millis(commit_millis), undelete_window: PATIENCE, quiet_after: PATIENCE }
    }

    fn pool() -> (Arc<Simulator>, Pool) {
        let simulator = Arc::new(Simulator::new());
        let media: Arc<dyn Media> = simulator.clone();
        let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size: 1 << 20, intent_size: 8 << 20 };
        Pool::create(&media, &new).unwrap();
        let pool = Pool::open(media, Arc::new(Inline), Budgets::default(), 3, clock::now()).unwrap();
        (simulator, pool)
    }

    fn wait_until(reached: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !reached() {
            assert!(Instant::now() < until, "it does not come to that");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn commits_come_in_time_and_what_was_destroyed_goes_when_its_time_has_come() {
        let (_, pool) = pool();
        let window = Duration::from_secs(3600);
        let pace = Pace { undelete_window: window, quiet_after: window, ..pace(20) };
        for name in ["old", "new"] {
            pool.create_dataset(name, &Properties::default(), clock::now()).unwrap();
        }
        let now = clock::now();
        let long_ago = Timestamp { seconds: now.seconds - 3601, ..now };
        pool.destroy("old", false, long_ago).unwrap();
        pool.destroy("new", false, now).unwrap();
        let before = pool.counters().commits;
        let maintenance =
            Maintenance::start(pool.clone(), pace, Arc::default(), Arc::default(), Box::new(|| ())).unwrap();
        let destroyed = || pool.destroyed().unwrap().datasets.into_iter().map(|info| info.name).collect::<Vec<_>>();
        wait_until(|| destroyed() == ["new"] && pool.counters().commits > before);
        maintenance.stop();
        assert_eq!(destroyed(), ["new"]);
    }

    #[test]
    fn memory_is_given_back_when_nothing_is_asked() {
        let (_, pool) = pool();
        pool.create_dataset("a", &Properties::default(), clock::now()).unwrap();
        let quiet_after = Duration::from_millis(50);
        let pace = Pace { quiet_after, ..pace(5) };
        let maintenance =
            Maintenance::start(pool.clone(), pace, Arc::default(), Arc::default(), Box::new(|| ())).unwrap();
        let (tell, told) = channel();
        maintenance.when_quiet(Box::new(move || tell.send(()).unwrap()));
        for _ in 0..2 {
            wait_until(|| {
                maintenance.wake();
                told.try_recv().is_ok()
            });
            for _ in 0..20 {
                maintenance.wake();
                assert!(told.recv_timeout(Duration::from_millis(10)).is_err(), "it is still quiet");
            }
            pool.create_dataset("b", &Properties::default(), clock::now()).unwrap();
            pool.destroy("b", false, clock::now()).unwrap();
        }
        maintenance.stop();
    }

    #[test]
    fn a_poisoned_pool_is_told_of_once() {
        let (simulator, pool) = pool();
        let pace = pace(1);
        let (tell, told) = channel();
        let on_poisoned = Box::new(move || tell.send(()).unwrap());
        let maintenance = Maintenance::start(pool.clone(), pace, Arc::default(), Arc::default(), on_poisoned).unwrap();
        assert!(!maintenance.is_poisoned());
        simulator.fail_flush(0);
        let _ = pool.create_dataset("a", &Properties::default(), clock::now());
        told.recv_timeout(PATIENCE).expect("the pool is found to be poisoned");
        assert!(maintenance.is_poisoned());
        assert!(told.recv_timeout(Duration::from_millis(500)).is_err(), "it was told twice");
        maintenance.stop();
    }
}
