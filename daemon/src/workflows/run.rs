//! What the threads of one copy share: how far it is, what went wrong, and whether to stop.
//!
//! Invariant: once [`Run::goes_on`] was false it stays so.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cow_storage::error::{Error, ErrorKind};
use parking_lot::Mutex;

use crate::workflows::paths::shown;
use crate::workflows::{self, Problems};

/// The shortest time between two calls of a progress function.
const PACE: Duration = Duration::from_millis(100);

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Names that are copied, of files, directories and all else.
    pub files_done: u64,
    /// Names in all, as far as counted.
    pub files_total: u64,
    /// Bytes of data that are copied; holes have none.
    pub bytes_done: u64,
    /// Bytes of data in all, as far as counted; an estimate, as files may change.
    pub bytes_total: u64,
}

/// What the threads of one copy share.
pub struct Run {
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    stopped: AtomicBool,
    fatal: Mutex<Option<Error>>,
    problems: Mutex<Problems>,
    /// Errors that end it, as every further path would meet them.
    fatal_kinds: &'static [ErrorKind],
    stop_at_first: bool,
}

impl Run {
    pub(super) fn new(fatal_kinds: &'static [ErrorKind], stop_at_first: bool) -> Self {
        Self {
            files_done: AtomicU64::new(0),
            files_total: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            fatal: Mutex::new(None),
            problems: Mutex::default(),
            fatal_kinds,
            stop_at_first,
        }
    }

    /// Whether there is still a reason to work.
    pub(super) fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, bytes: u64) {
        self.files_total.fetch_add(1, Ordering::Relaxed);
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn copied_name(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn copied_bytes(&self, bytes: usize) {
        self.bytes_done.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that `path` was not copied, and stops if no other could be either.
    pub(super) fn fail(&self, path: &[u8], error: Error) {
        if self.stop_at_first || self.fatal_kinds.contains(&error.kind()) {
            let mut fatal = self.fatal.lock();
            fatal.get_or_insert(error.during(format!("cannot copy {}", shown(path))));
            self.stopped.store(true, Ordering::Relaxed);
        } else {
            self.problems.lock().add(path, error);
        }
    }

    /// All is copied: what was counted beforehand was an estimate.
    pub(super) fn reach_end(&self) {
        if self.goes_on() {
            self.files_total.store(self.files_done.load(Ordering::Relaxed), Ordering::Relaxed);
            self.bytes_total.store(self.bytes_done.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let files_done = self.files_done.load(Ordering::Relaxed);
        let bytes_done = self.bytes_done.load(Ordering::Relaxed);
        Progress {
            files_done,
            files_total: self.files_total.load(Ordering::Relaxed).max(files_done),
            bytes_done,
            bytes_total: self.bytes_total.load(Ordering::Relaxed).max(bytes_done),
        }
    }

    /// How it ended. `left` says what is left, if it was not to the end.
    pub(super) fn outcome(self, left: impl FnOnce() -> String) -> Result<(), workflows::Error> {
        if let Some(source) = self.fatal.into_inner() {
            return Err(workflows::Error::Stopped { source, left: left() });
        }
        if self.stopped.into_inner() {
            return Err(workflows::Error::Cancelled { left: left() });
        }
        let problems = self.problems.into_inner();
        if problems.count > 0 { Err(workflows::Error::Incomplete { problems, left: left() }) } else { Ok(()) }
    }
}

/// Tells the caller how far the copy is, on the caller's own thread.
pub struct Reporter<'r> {
    run: &'r Run,
    progress: &'r dyn Fn(&Progress) -> bool,
    told_at: Cell<Instant>,
}

impl<'r> Reporter<'r> {
    pub(super) fn new(run: &'r Run, progress: &'r dyn Fn(&Progress) -> bool) -> Self {
        Self { run, progress, told_at: Cell::new(Instant::now()) }
    }

    /// Tells it if some time went by since it was told last. Returns whether to go on.
    pub(super) fn tick(&self) -> bool {
        if self.told_at.get().elapsed() < PACE { self.run.goes_on() } else { self.tell() }
    }

    /// Tells it now. Returns whether to go on.
    pub(super) fn tell(&self) -> bool {
        self.told_at.set(Instant::now());
        if !(self.progress)(&self.run.progress()) {
            self.run.stopped.store(true, Ordering::Relaxed);
        }
        self.run.goes_on()
    }
}
