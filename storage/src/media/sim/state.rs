//! What a simulated disk holds: what is durable, what programs see, and the changes between them.
//!
//! Invariant: applying all pending changes, in order, to the durable state gives the live one,
//! except for a file whose flush failed: its pending changes are gone, and only the live state
//! still shows them, as a page cache does.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::media::sim::content::Content;
use crate::media::sim::watch::{OperationKind, Watcher};

/// Names a simulated file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(pub u64);

/// A change of a file that no flush has made durable.
#[derive(Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Length(u64),
    Punch(Range<u64>),
}

/// A change of names that no sync of the directory has made durable.
#[derive(Clone)]
pub(super) enum NameChange {
    Create { name: String, file: FileId },
    Rename { from: String, to: String, file: FileId },
    Unlink { name: String, file: FileId },
}

#[derive(Clone, Default)]
pub(super) struct StoredFile {
    pub durable: Content,
    pub live: Content,
    pub pending: Vec<Change>,
    /// A flush failed: what it should have made durable never will be.
    pub lied: bool,
    /// What [`crate::media::Simulator::remember`] kept.
    pub remembered: Option<Content>,
    /// Handles hold a copy, so that an unlinked file lives while one is open.
    pub open: Arc<()>,
}

impl Change {
    pub fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } => content.write(bytes, *offset),
            Self::Length(length) => content.set_length(*length),
            Self::Punch(range) => content.punch(range.clone()),
        }
    }

    /// The same write cut after so many bytes.
    pub fn cut(self, length: u64) -> Self {
        match self {
            Self::Write { offset, bytes } => {
                let kept = bytes.len().min(length as usize);
                Self::Write { offset, bytes: bytes[..kept].into() }
            }
            whole => whole,
        }
    }

    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Write { .. } => OperationKind::Write,
            Self::Length(_) => OperationKind::Truncate,
            Self::Punch(_) => OperationKind::Punch,
        }
    }

    /// Where it begins, and how many bytes it has of its own.
    pub fn place(&self) -> (u64, u64) {
        match self {
            Self::Length(length) => (*length, 0),
            _ => (self.range().start, self.range().end - self.range().start),
        }
    }

    /// What it changes; a length, all behind it.
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Write { offset, bytes } => *offset..offset + bytes.len() as u64,
            Self::Length(length) => *length..u64::MAX,
            Self::Punch(range) => range.clone(),
        }
    }
}

impl NameChange {
    /// Applies it if what it changes is there: a rename of a file whose creation was lost is lost too.
    pub fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Create { name, file } => drop(names.entry(name.clone()).or_insert(*file)),
            Self::Rename { from, to, file } if names.get(from) == Some(file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Unlink { name, file } if names.get(name) == Some(file) => drop(names.remove(name)),
            _ => {}
        }
    }

    fn file(&self) -> FileId {
        match self {
            Self::Create { file, .. } | Self::Rename { file, .. } | Self::Unlink { file, .. } => *file,
        }
    }
}

impl StoredFile {
    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if self.lied {
            pending.iter().for_each(|change| change.apply(&mut self.durable));
            return;
        }
        // The same as applying the changes, but the two states go on sharing their pages.
        pending.iter().for_each(|change| self.durable.copy_pages(&self.live, &change.range()));
        self.durable.copy_shape(&self.live);
    }
}

/// Faults that wait for their cue. Counts are of operations still to go well.
#[derive(Clone, Default)]
pub(super) struct Faults {
    pub power: Option<u64>,
    pub read: Option<u64>,
    pub write: Option<u64>,
    pub flush: Option<u64>,
    /// A write that stores so many bytes only.
    pub short_write: Option<u64>,
    pub short_write_len: u64,
    pub watcher: Option<Watcher>,
}

/// Whether the fault that `count` stands for strikes now.
pub(super) fn strikes(count: &mut Option<u64>) -> bool {
    match count {
        Some(0) => {
            *count = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

/// How an operation that changes something fares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// As usual.
    On,
    /// The power goes while it runs: its changes are as pending as any, and its caller hears an error.
    Failing,
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub files: BTreeMap<FileId, StoredFile>,
    pub names: BTreeMap<String, FileId>,
    pub durable_names: BTreeMap<String, FileId>,
    pub pending_names: Vec<NameChange>,
    pub next_file: u64,
    pub capacity: Option<u64>,
    pub operations: u64,
    pub faults: Faults,
}

pub(super) fn fault(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Io, message)
}

impl State {
    /// Counts an operation that changes or flushes something; an error once the power is gone.
    pub fn step(&mut self) -> Result<Power> {
        self.operations += 1;
        match &mut self.faults.power {
            None => Ok(Power::On),
            Some(0) => Err(fault("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(if *left == 0 { Power::Failing } else { Power::On })
            }
        }
    }

    pub fn lookup(&self, name: &str) -> Result<FileId> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no simulated file {name}")))
    }

    pub fn file(&mut self, id: FileId) -> &mut StoredFile {
        self.files.get_mut(&id).expect("files with a name or a handle are kept")
    }

    pub fn used(&self) -> u64 {
        self.files.values().map(|file| file.live.allocated()).sum()
    }

    /// Refuses to allocate more than the capacity.
    pub fn allocate(&self, growth: u64) -> Result<()> {
        match self.capacity {
            Some(capacity) if growth > 0 && self.used() + growth > capacity => {
                Err(Error::new(ErrorKind::NoSpace, "the simulated disk is full"))
            }
            _ => Ok(()),
        }
    }

    pub fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    /// Forgets files that nothing can reach any more, not even after a crash.
    pub fn collect(&mut self) {
        let named = |id: &FileId| {
            self.names.values().chain(self.durable_names.values()).any(|named| named == id)
                || self.pending_names.iter().any(|change| change.file() == *id)
        };
        let reachable = |id: &FileId, file: &StoredFile| Arc::strong_count(&file.open) > 1 || named(id);
        let gone: Vec<FileId> =
            self.files.iter().filter(|(id, file)| !reachable(id, file)).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| drop(self.files.remove(id)));
    }
}
