//! An executor whose errands run on threads of their own.

use crate::executor::Executor;
use crate::media::Choices;
use crate::pool::tests::threads::orders::thread;
use crate::sync::Mutex;

/// Hands errands to threads, some of them late, some never.
pub struct Crowd {
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    choices: Mutex<Choices>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(choices: Choices) -> Self {
        Self { threads: Mutex::default(), choices: Mutex::new(choices) }
    }

    /// Waits for all threads that were begun.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

impl Executor for Crowd {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(job);
    }

    fn offer(&self, errand: Box<dyn FnOnce() + Send>) {
        if self.choices.lock().below(4) > 0 {
            let thread = thread::Builder::new().spawn(errand).unwrap();
            self.threads.lock().push(thread);
        }
    }
}
