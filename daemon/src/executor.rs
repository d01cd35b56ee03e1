//! Runs the engine's jobs on all cores.
//!
//! Invariant: the caller works too, and a job that panics makes the run panic, after all jobs that had begun.
//! Jobs only compute: one that waited for what another run's caller holds might wait for ever.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use cow_storage::executor::Executor;

/// A pool of threads.
pub struct Threads {
    /// Besides the caller's own thread; none when there is only that one.
    helpers: Option<rayon_core::ThreadPool>,
    helper_count: usize,
}

impl Threads {
    /// `count` threads, with the caller's among them.
    pub fn new(count: usize) -> io::Result<Self> {
        let helper_count = count.saturating_sub(1);
        let build = || {
            let named = rayon_core::ThreadPoolBuilder::new().thread_name(|number| format!("engine-{number}"));
            named.num_threads(helper_count).build().map_err(io::Error::other)
        };
        let helpers = if helper_count == 0 { None } else { Some(build()?) };
        Ok(Self { helpers, helper_count })
    }

    /// As many as there are cores for this process.
    pub fn of_this_machine() -> io::Result<Self> {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Executor for Threads {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let claimed = next.fetch_add(1, Ordering::Relaxed);
                if claimed >= count {
                    return;
                }
                job(claimed);
            }
        };
        match &self.helpers {
            Some(helpers) if count > 1 => helpers.in_place_scope(|scope| {
                for _ in 0..self.helper_count.min(count - 1) {
                    scope.spawn(|_| work());
                }
                work();
            }),
            _ => work(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn every_job_runs_once() {
        for threads in [0, 1, 2, 5] {
            let threads = Threads::new(threads).unwrap();
            for count in [0, 1, 2, 3, 1000] {
                let runs: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
                threads.run(count, &|job| {
                    runs[job].fetch_add(1, Ordering::Relaxed);
                });
                assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn jobs_run_at_the_same_time_and_callers_share() {
        let threads = Threads::new(3).unwrap();
        // Each job waits for the two others: one thread alone would wait for ever.
        let barrier = Barrier::new(3);
        threads.run(3, &|_| {
            barrier.wait();
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| threads.run(100, &|_| std::thread::yield_now()));
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_whole() {
        let threads = Threads::new(2).unwrap();
        let run = || threads.run(10, &|job| assert_ne!(job, 7));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        threads.run(10, &|_| {});
    }
}
