//! What the threads of one copy share: how far it is, what went wrong, and whether to stop.
//!
//! Invariant: once [`Run::goes_on`] was false it stays so.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cow_storage::error::{Error, ErrorKind};
use cow_storage::fs::FileKind;
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

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Regular files, each under its first name.
    pub files: u64,
    /// Directories, without the root.
    pub directories: u64,
    /// Further names of files, symbolic links, devices, pipes and sockets.
    pub others: u64,
    /// Bytes of data; holes have none.
    pub bytes: u64,
}

impl Copied {
    /// Names in all, without the root.
    pub fn names(&self) -> u64 {
        self.files + self.directories + self.others
    }
}

/// What the threads of one copy share.
pub struct Run {
    files: AtomicU64,
    directories: AtomicU64,
    others: AtomicU64,
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
            files: AtomicU64::new(0),
            directories: AtomicU64::new(0),
            others: AtomicU64::new(0),
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

    /// A name of something new was copied.
    pub(super) fn copied(&self, kind: FileKind) {
        let counter = match kind {
            FileKind::Regular => &self.files,
            FileKind::Directory => &self.directories,
            _ => &self.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A further name of something was copied.
    pub(super) fn copied_link(&self) {
        self.others.fetch_add(1, Ordering::Relaxed);
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
            let done = self.done();
            self.files_total.store(done.names(), Ordering::Relaxed);
            self.bytes_total.store(done.bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn done(&self) -> Copied {
        Copied {
            files: self.files.load(Ordering::Relaxed),
            directories: self.directories.load(Ordering::Relaxed),
            others: self.others.load(Ordering::Relaxed),
            bytes: self.bytes_done.load(Ordering::Relaxed),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let done = self.done();
        let (files_done, bytes_done) = (done.names(), done.bytes);
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
