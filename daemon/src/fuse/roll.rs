//! Which threads serve a mount, so that none can die unseen.
//!
//! The crate `fuser` decodes a request before it calls us. When that panics, it ends a thread of the mount with the
//! request unanswered, and says nothing until all are gone and everybody hangs. So each thread of a mount is made
//! known before anybody may use it, and the panic that ends one is told at once.
//!
//! Invariant: once [`Roll::call`] was answered, no panic ends a thread of the mount without `broken` being called.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long the threads of a mount may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    /// The mount that this thread serves.
    static SERVES: RefCell<Weak<Roll>> = const { RefCell::new(Weak::new()) };
    /// Whether a panic would be caught by us.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// The threads that serve a mount.
pub struct Roll {
    wanted: usize,
    present: Mutex<usize>,
    arrived: Condvar,
    is_broken: AtomicBool,
    broken: Box<dyn Fn() + Send + Sync>,
}

impl Roll {
    /// The roll of a mount that `wanted` threads will serve. `broken` is called by the one that dies: it must not wait.
    pub fn new(wanted: usize, broken: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        static WATCHING: Once = Once::new();
        WATCHING.call_once(watch);
        let (present, arrived, is_broken) = (Mutex::new(0), Condvar::new(), AtomicBool::new(false));
        Arc::new(Self { wanted, present, arrived, is_broken, broken })
    }

    /// Has each thread make itself known, by a request for each of them that none answers before all have one. `root` is
    /// of a mount that nobody else can reach yet, and is handed back.
    pub fn call(&self, root: OwnedFd) -> io::Result<OwnedFd> {
        let root = Arc::new(root);
        let ask = |_| {
            let root = root.clone();
            thread::Builder::new().name("mount-roll".to_owned()).spawn(move || rustix::fs::fstatfs(&root).is_ok())
        };
        let asking: Vec<JoinHandle<bool>> = (0..self.wanted).map(ask).collect::<io::Result<_>>()?;
        let missing = || io::Error::new(io::ErrorKind::TimedOut, "not all of its threads have begun");
        if !self.is_complete_in(PATIENCE) {
            return Err(missing());
        }
        let answers = asking.into_iter().filter_map(|asking| asking.join().ok()).filter(|was_answered| *was_answered);
        if answers.count() < self.wanted {
            return Err(missing());
        }
        Arc::into_inner(root).ok_or_else(missing)
    }

    /// Makes the calling thread known while the roll is called, and waits for the others.
    pub fn answer(self: &Arc<Self>) {
        let mut present = self.present.lock();
        if *present >= self.wanted {
            return;
        }
        SERVES.with_borrow_mut(|serves| *serves = Arc::downgrade(self));
        *present += 1;
        drop(present);
        self.arrived.notify_all();
        self.is_complete_in(PATIENCE);
    }

    /// Whether one of the threads has died.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    fn is_complete_in(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut present = self.present.lock();
        self.arrived.wait_while_until(&mut present, |present| *present < self.wanted, until);
        *present >= self.wanted
    }
}

/// Runs what catches its own panics.
pub fn catching<T>(act: impl FnOnce() -> T) -> T {
    IS_CAUGHT.set(true);
    let done = act();
    IS_CAUGHT.set(false);
    done
}

/// Has every panic that ends a thread of a mount told. It runs in that thread, before anything of it is undone.
fn watch() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        previous(panic);
        if IS_CAUGHT.try_with(Cell::get).unwrap_or(true) {
            return;
        }
        let roll = SERVES.try_with(|serves| serves.try_borrow().ok()?.upgrade()).ok().flatten();
        if let Some(roll) = roll
            && !roll.is_broken.swap(true, Ordering::AcqRel)
        {
            (roll.broken)();
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn only_a_panic_that_ends_a_thread_breaks_its_roll() {
        let (tell, told) = channel();
        let tell_other = tell.clone();
        let roll = Roll::new(2, Box::new(move || assert!(tell.send("it").is_ok())));
        let other = Roll::new(1, Box::new(move || assert!(tell_other.send("other").is_ok())));
        other.answer();
        let served = |dies: bool| {
            let roll = roll.clone();
            thread::spawn(move || {
                roll.answer();
                let caught = catching(|| panic::catch_unwind(|| panic!("a request that panics, as this test wants")));
                assert!(caught.is_err() && !(dies && roll.is_broken()));
                assert!(!dies, "a thread that dies, as this test wants");
            })
        };
        let (lives, dies) = (served(false), served(true));
        assert!(lives.join().is_ok() && dies.join().is_err());
        assert!(roll.is_broken() && !other.is_broken());
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["it"]);
    }
}
