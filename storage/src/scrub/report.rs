//! What is told of a verification: damage, and how far it is.

use std::error::Error;

/// Stored bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The dataset or snapshot that is hit, by name: of a dataset its head, or if that is not hit, its newest snapshot that is.
    /// `None` where none is that could be used or undeleted.
    pub dataset: Option<String>,
    /// The path of the file hit, or its inode where no path was found.
    pub path: Option<String>,
    /// Where in the file.
    pub offset: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

impl Damage {
    /// What hits no file, or nobody knows which.
    pub fn of_the_pool(problem: String) -> Self {
        Self { dataset: None, path: None, offset: None, problem }
    }
}

/// What `verify` and `scrub` found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Extents and nodes read.
    pub objects: u64,
    /// Stored bytes read.
    pub bytes: u64,
    /// Everything that is wrong; empty when all is well.
    pub damage: Vec<Damage>,
}

/// Pointers between two tellings of progress.
const POINTERS_TOGETHER: u64 = 256;

/// How far a verification is.
pub struct Meter<'a> {
    progress: &'a mut dyn FnMut(u64, u64) -> bool,
    /// Extents and nodes read.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes to read, about.
    pub total: u64,
    stopped: bool,
    pointers: u64,
}

impl<'a> Meter<'a> {
    /// Nothing is read yet.
    pub fn new(progress: &'a mut dyn FnMut(u64, u64) -> bool) -> Self {
        Self { progress, objects: 0, bytes: 0, total: 0, stopped: false, pointers: 0 }
    }

    /// Counts what was read.
    pub fn count(&mut self, objects: u64, bytes: u64) {
        self.objects += objects;
        self.bytes += bytes;
    }

    /// Tells how far it is; returns whether to go on.
    pub fn go_on(&mut self) -> bool {
        self.stopped = self.stopped || !(self.progress)(self.bytes.min(self.total), self.total);
        !self.stopped
    }

    /// Notes that a pointer was followed, and tells how far it is once in a while; returns whether to go on.
    pub fn go_on_soon(&mut self) -> bool {
        self.pointers += 1;
        match self.pointers.is_multiple_of(POINTERS_TOGETHER) {
            true => self.go_on(),
            false => !self.stopped,
        }
    }

    /// Tells that all is done.
    pub fn finish(&mut self) {
        if !self.stopped {
            self.total = self.total.max(self.bytes);
            (self.progress)(self.total, self.total);
        }
    }
}

/// An error and its causes in one line.
pub fn told(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
