//! Runs jobs in parallel, or inline.

/// Runs many small jobs. Results must not depend on the order, so that inline and parallel agree.
pub trait Executor: Send + Sync {
    /// Calls `job` with every number below `count`, and returns when all are done.
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync));
}

/// Runs each job on the caller's thread, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(job);
    }
}
