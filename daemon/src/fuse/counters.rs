//! What mounts have done, as plain data.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a histogram: bucket `n` counts requests of less than `8 << n` microseconds, the last all others.
pub const BUCKETS: usize = 20;

/// Kinds of requests, in the order of their counters.
pub const OPERATIONS: [&str; 28] = [
    "lookup",
    "getattr",
    "setattr",
    "readlink",
    "mknod",
    "mkdir",
    "unlink",
    "rmdir",
    "symlink",
    "rename",
    "link",
    "open",
    "read",
    "write",
    "flush",
    "release",
    "fsync",
    "opendir",
    "readdir",
    "readdirplus",
    "fsyncdir",
    "statfs",
    "xattr",
    "access",
    "create",
    "fallocate",
    "lseek",
    "lock",
];

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Operation {
    Lookup,
    Getattr,
    Setattr,
    Readlink,
    Mknod,
    Mkdir,
    Unlink,
    Rmdir,
    Symlink,
    Rename,
    Link,
    Open,
    Read,
    Write,
    Flush,
    Release,
    Fsync,
    Opendir,
    Readdir,
    Readdirplus,
    Fsyncdir,
    Statfs,
    Xattr,
    Access,
    Create,
    Fallocate,
    Lseek,
    Lock,
}

const _: () = assert!(Operation::Lock as usize == OPERATIONS.len() - 1);

/// The counters, while they count.
#[derive(Default)]
pub struct Counting {
    operations: [Counted; OPERATIONS.len()],
    /// Bytes that programs read.
    pub read_bytes: AtomicU64,
    /// Bytes that programs wrote.
    pub written_bytes: AtomicU64,
    /// Requests during which our own code panicked.
    pub panics: AtomicU64,
}

/// Requests of one kind.
#[derive(Default)]
pub struct Counted {
    calls: AtomicU64,
    errors: AtomicU64,
    micros: AtomicU64,
    histogram: [AtomicU64; BUCKETS],
}

impl Counting {
    /// Counts a request.
    pub fn call(&self, operation: Operation, took: Duration, failed: bool) {
        let counted = &self.operations[operation as usize];
        let micros = took.as_micros() as u64;
        let bucket = (u64::BITS - (micros >> 3).leading_zeros()) as usize;
        for (counter, by) in [
            (&counted.calls, 1),
            (&counted.errors, failed.into()),
            (&counted.micros, micros),
            (&counted.histogram[bucket.min(BUCKETS - 1)], 1),
        ] {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Those kinds of which there were requests, by name.
    pub fn called(&self) -> impl Iterator<Item = (&'static str, &Counted)> {
        OPERATIONS.into_iter().zip(&self.operations).filter(|(_, counted)| counted.calls() > 0)
    }
}

impl Counted {
    /// Requests.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Those that failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Time that they took together, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }

    /// Requests by time: see [`BUCKETS`].
    pub fn histogram(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.histogram[bucket].load(Ordering::Relaxed))
    }
}
