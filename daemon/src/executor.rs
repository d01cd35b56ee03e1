//! Runs the engine's jobs on all cores.
//!
//! Invariant: the caller works too, and a job that panics makes the run panic, after all jobs that had begun.
//! Jobs only compute: one that waited for what another run's caller holds might wait for ever. Errands may wait for the disk: they
//! have threads of their own, and what these cannot do soon is dropped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cow_storage::executor::Executor;
use rayon_core::{ThreadPool, ThreadPoolBuilder};

/// Threads for errands: so many reads are in flight, besides those of the callers themselves.
const RUNNERS: usize = 4;
/// Errands that may wait.
const ERRANDS_MAX: usize = 256;

/// A pool of threads.
pub struct Threads {
    /// Besides the caller's own thread; none when there is only that one.
    helpers: Option<ThreadPool>,
    helper_count: usize,
    runners: ThreadPool,
    /// Errands that wait or run.
    errands: Arc<AtomicUsize>,
}

impl Threads {
    /// `count` threads that compute, with the caller's among them, and some for errands.
    pub fn new(count: usize) -> io::Result<Self> {
        let helper_count = count.saturating_sub(1);
        let helpers = if helper_count == 0 { None } else { Some(pool("engine", helper_count)?) };
        let errands = Arc::new(AtomicUsize::new(0));
        Ok(Self { helpers, helper_count, runners: pool("errand", RUNNERS)?, errands })
    }

    /// As many as there are cores for this process.
    pub fn of_this_machine() -> io::Result<Self> {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

fn pool(name: &'static str, count: usize) -> io::Result<ThreadPool> {
    let named = ThreadPoolBuilder::new().thread_name(move |number| format!("{name}-{number}"));
    // The panic was told of when it happened; whoever needed the errand does it himself.
    named.num_threads(count).panic_handler(drop).build().map_err(io::Error::other)
}

/// One errand that waits or runs.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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

    fn offer(&self, errand: Box<dyn FnOnce() + Send>) {
        let counted = Counted(Arc::clone(&self.errands));
        if self.errands.fetch_add(1, Ordering::Relaxed) < ERRANDS_MAX {
            self.runners.spawn(move || {
                let _counted = counted;
                errand();
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU64;

    use cow_storage::executor::{Errands, share};

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

    #[test]
    fn errands_do_not_keep_who_offers_them_and_end_before_what_they_use() {
        let threads = Threads::new(1).unwrap();
        let (errands, done) = (Errands::default(), Arc::new(AtomicU64::new(0)));
        let (tell, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let wait = Arc::new(parking_lot::Mutex::new(wait));
        for _ in 0..RUNNERS {
            let (wait, done) = (Arc::clone(&wait), Arc::downgrade(&done));
            errands.offer(&threads, move || {
                let _ = wait.lock().recv();
                done.upgrade().expect("what an errand uses is there").fetch_add(1, Ordering::Relaxed);
            });
        }
        // Nobody is free: most of these are dropped, and the others come too late.
        (0..10_000).for_each(|_| errands.offer(&threads, || panic!("the errands are over")));
        assert!(threads.errands.load(Ordering::Relaxed) <= ERRANDS_MAX);
        let mut shared = Vec::new();
        share(&threads, 100, |number| number, |number| shared.push(number));
        assert_eq!(shared, (0..100).collect::<Vec<_>>());
        std::thread::scope(|scope| {
            scope.spawn(|| (0..RUNNERS).for_each(|_| tell.send(()).unwrap()));
            while done.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            errands.close();
            drop(done);
        });
    }

    #[test]
    fn shared_jobs_run_once_on_several_threads_and_panic_for_the_caller() {
        let threads = Arc::new(Threads::new(1).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let runs: Arc<Vec<AtomicU64>> = Arc::new((0..500).map(|_| AtomicU64::new(0)).collect());
                    let counted = Arc::clone(&runs);
                    let job = move |number: usize| counted[number].fetch_add(1, Ordering::Relaxed);
                    share(&*threads, 500, job, |before| assert_eq!(before, 0));
                    assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
                });
            }
        });
        // Each of two jobs waits for the other.
        let barrier = Barrier::new(2);
        share(&*threads, 2, move |_| barrier.wait(), |_| ());
        let panics = || share(&*threads, 50, |number| assert_ne!(number, 30), |()| ());
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    }
}
