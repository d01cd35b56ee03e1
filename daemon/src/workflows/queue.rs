//! Work that one thread finds and several do.
//!
//! Invariant: [`Queue::next`] ends with `None` only when the queue is closed, empty, and no job is being done that
//! could still add to it.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long the finder waits between two looks at whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// A bounded queue of jobs.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    /// Signalled to those who do the jobs.
    filled: Condvar,
    /// Signalled to the one who finds them.
    emptied: Condvar,
    capacity: usize,
}

struct State<T> {
    jobs: VecDeque<T>,
    /// Jobs being done.
    active: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { jobs: VecDeque::new(), active: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new(), capacity }
    }

    /// Adds a job, and waits for room as long as `goes_on`.
    pub(super) fn push(&self, job: T, goes_on: &dyn Fn() -> bool) {
        let mut state = self.state.lock();
        while state.jobs.len() >= self.capacity && !state.closed {
            self.emptied.wait_for(&mut state, TICK);
            if !goes_on() {
                return;
            }
        }
        state.jobs.push_back(job);
        self.filled.notify_one();
    }

    /// Adds a job that goes before all others and never waits: for those who do jobs.
    pub(super) fn push_next(&self, job: T) {
        self.state.lock().jobs.push_front(job);
        self.filled.notify_one();
    }

    /// Ends the queue: nothing is added from outside any more. Waits until all is done, as long as `goes_on`.
    pub(super) fn finish(&self, goes_on: &dyn Fn() -> bool) {
        let mut state = self.state.lock();
        state.closed = true;
        self.filled.notify_all();
        while !state.jobs.is_empty() || state.active > 0 {
            self.emptied.wait_for(&mut state, TICK);
            if !goes_on() {
                state.jobs.clear();
            }
        }
        self.filled.notify_all();
    }

    /// Does jobs with `work` until there are none.
    pub(super) fn serve(&self, mut work: impl FnMut(T)) {
        while let Some(job) = self.next() {
            let _active = Active(self);
            work(job);
        }
    }

    fn next(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.active += 1;
                return Some(job);
            }
            if state.closed && state.active == 0 {
                return None;
            }
            self.filled.wait(&mut state);
        }
    }
}

/// A job being done.
struct Active<'q, T>(&'q Queue<T>);

impl<T> Drop for Active<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.active -= 1;
        if thread::panicking() {
            // Nobody may be left to do the rest, and the finder must not wait for them for ever.
            state.closed = true;
            state.jobs.clear();
        }
        if state.closed && state.active == 0 && state.jobs.is_empty() {
            self.0.filled.notify_all();
        }
        self.0.emptied.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn all_jobs_are_done_also_those_that_jobs_add() {
        let queue = Queue::new(3);
        let sum = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    queue.serve(|job: u64| {
                        sum.fetch_add(job, Ordering::Relaxed);
                        if job > 1 {
                            queue.push_next(job / 2);
                        }
                    });
                });
            }
            for _ in 0..1000 {
                queue.push(64, &|| true);
            }
            queue.finish(&|| true);
        });
        assert_eq!(sum.into_inner(), 1000 * 127);
    }

    #[test]
    fn the_finder_stops_waiting_when_told_to_and_when_workers_fail() {
        let queue = Queue::new(1);
        queue.push(1, &|| true);
        queue.push(2, &|| false);
        assert_eq!(queue.state.lock().jobs.len(), 1);
        let failed = thread::scope(|scope| {
            let worker = scope.spawn(|| queue.serve(|_| panic!("on purpose")));
            worker.join().is_err()
        });
        assert!(failed);
        queue.push(3, &|| true);
        queue.finish(&|| false);
    }
}
