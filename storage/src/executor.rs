//! Runs jobs in parallel, or inline.

use std::sync::OnceLock;

/// Runs many small jobs. Results must not depend on the order, so that inline and parallel agree.
pub trait Executor: Send + Sync {
    /// Calls `job` with every number below `count`, and returns when all are done.
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync));
}

/// Calls `job` with every number below `count`, and returns the results in order.
pub fn map<T: Send + Sync>(executor: &dyn Executor, count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let results: Vec<OnceLock<T>> = (0..count).map(|_| OnceLock::new()).collect();
    executor.run(count, &|number| {
        // An executor that ran a job twice would get the same result twice.
        let _ = results[number].set(job(number));
    });
    results.into_iter().map(|result| result.into_inner().expect("the executor has run every job")).collect()
}

/// Runs each job on the caller's thread, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(job);
    }
}
