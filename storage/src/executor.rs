//! Runs jobs in parallel, or inline.

use std::sync::Arc;

use crate::sync::{AtomicUsize, OnceLock, Ordering, RwLock};

/// Threads that take part in a [`share`] at most: reads in flight, with the caller's.
const SHARERS_MAX: usize = 16;

/// Runs many small jobs. Results must not depend on the order, so that inline and parallel agree.
pub trait Executor: Send + Sync {
    /// Calls `job` with every number below `count`, and returns when all are done.
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync));

    /// Runs an errand some time, or drops it, as here; it may wait for a disk. The caller does not wait, but it must
    /// hold no lock, since the errand may be run at once.
    fn offer(&self, errand: Box<dyn FnOnce() + Send>) {
        drop(errand);
    }
}

/// Calls `job` with every number below `count`, and returns the results in order.
pub fn map<T: Send + Sync>(executor: &dyn Executor, count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let results: Vec<OnceLock<T>> = new_results(count);
    executor.run(count, &|number| {
        // An executor that ran a job twice would get the same result twice.
        let _ = results[number].set(job(number));
    });
    results.into_iter().map(|result| result.into_inner().expect("the executor has run every job")).collect()
}

/// What other threads are asked to do for somebody, who ends it before what it uses goes.
#[derive(Debug, Default)]
pub struct Errands {
    /// Held shared while one runs.
    is_closed: Arc<RwLock<bool>>,
}

impl Errands {
    /// Has `errand` run on another thread until [`Self::close`], if one is free. What it holds while it does not run, it
    /// should hold weakly.
    pub fn offer(&self, executor: &dyn Executor, errand: impl FnOnce() + Send + 'static) {
        let is_closed = Arc::clone(&self.is_closed);
        executor.offer(Box::new(move || {
            let is_closed = is_closed.read();
            if !*is_closed {
                errand();
            }
        }));
    }

    /// Lets no errand begin any more, and waits for those that have begun.
    pub fn close(&self) {
        *self.is_closed.write() = true;
    }
}

/// Calls `job` with every number below `count`, and `done` with the results in order. Unlike [`map`] it is for jobs that
/// wait for a disk: other threads take part as far as they are free, and the caller waits for none that has not begun.
pub fn share<T: Send + Sync + 'static>(
    executor: &dyn Executor,
    count: usize,
    job: impl Fn(usize) -> T + Send + Sync + 'static,
    done: impl FnMut(T),
) {
    let shared = Arc::new(Shared { job, next: AtomicUsize::new(0), results: new_results(count) });
    let errands = Errands::default();
    for _ in 1..count.min(SHARERS_MAX) {
        let shared = Arc::downgrade(&shared);
        errands.offer(executor, move || {
            if let Some(shared) = shared.upgrade() {
                shared.work();
            }
        });
    }
    shared.work();
    errands.close();
    let shared = Arc::into_inner(shared).expect("whoever had begun has ended");
    let Shared { job, results, .. } = shared;
    // A job that panicked on another thread has no result, and panics here.
    let results = results.into_iter().enumerate();
    results.map(|(number, result)| result.into_inner().unwrap_or_else(|| job(number))).for_each(done);
}

struct Shared<J, T> {
    job: J,
    next: AtomicUsize,
    results: Vec<OnceLock<T>>,
}

impl<T, J: Fn(usize) -> T> Shared<J, T> {
    fn work(&self) {
        loop {
            let claimed = self.next.fetch_add(1, Ordering::Relaxed);
            if claimed >= self.results.len() {
                return;
            }
            let _ = self.results[claimed].set((self.job)(claimed));
        }
    }
}

fn new_results<T>(count: usize) -> Vec<OnceLock<T>> {
    (0..count).map(|_| OnceLock::new()).collect()
}

/// Runs each job on the caller's thread, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(job);
    }

    fn offer(&self, errand: Box<dyn FnOnce() + Send>) {
        errand();
    }
}
