//! The same by shuttle, for the tests that try many orders of events.
//!
//! Shuttle has no weak memory: each atomic access is seen by all threads at once, whatever its `Ordering` says.

use std::fmt;

use shuttle::sync as raw;

pub use raw::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
pub use shuttle_parking_lot::{Mutex, MutexGuard, RwLock};

/// Waits as `parking_lot`'s does: while it holds a lock it loses no call, and it never wakes by itself.
#[derive(Default)]
pub struct Condvar {
    calls: raw::Mutex<u64>,
    called: raw::Condvar,
}

impl Condvar {
    /// Nobody waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Unlocks until the next call.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        // Locked before the other is given up: a call that comes then is one more.
        let calls = self.calls.lock().expect("nobody panics with it");
        let before = *calls;
        MutexGuard::unlocked(guard, || {
            drop(self.called.wait_while(calls, |calls| *calls == before).expect("nobody panics with it"));
        });
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        *self.calls.lock().expect("nobody panics with it") += 1;
        self.called.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

/// A cell that is filled once.
#[derive(Debug)]
pub struct OnceLock<T> {
    cell: std::sync::OnceLock<T>,
    filling: Mutex<()>,
}

impl<T> OnceLock<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self { cell: std::sync::OnceLock::new(), filling: Mutex::new(()) }
    }

    /// What is in it.
    pub fn get(&self) -> Option<&T> {
        drop(self.filling.try_lock());
        self.cell.get()
    }

    /// Fills it, unless it is full: then the value comes back.
    pub fn set(&self, value: T) -> Result<(), T> {
        let _filling = self.filling.lock();
        self.cell.set(value)
    }

    /// What is in it, or `fill` puts there. Waits for another who fills it.
    pub fn get_or_init(&self, fill: impl FnOnce() -> T) -> &T {
        let _filling = self.filling.lock();
        self.cell.get_or_init(fill)
    }

    /// What was in it.
    pub fn into_inner(self) -> Option<T> {
        self.cell.into_inner()
    }
}
