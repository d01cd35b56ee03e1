//! Somebody who is told of each operation of a simulated disk, at the moment at which it happens.
//!
//! Invariant: nothing is locked while he is told, so he may look at the disk, copy it, or wait.

use std::sync::Arc;

use crate::sync::Mutex;

use crate::media::Simulator;
use crate::media::sim::state::{FileId, State};

/// What a disk is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationKind {
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// The length is set.
    Truncate,
    /// A range is given back.
    Punch,
    /// A file is made durable.
    Flush,
    /// A file is made.
    Create,
    /// A file is renamed.
    Rename,
    /// A name is removed.
    Unlink,
    /// Names are made durable.
    SyncDirectory,
}

/// One operation of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub kind: OperationKind,
    /// The file's name; of a rename the old one, and of a sync of the directory none.
    pub name: String,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Bytes that it reads, writes or gives back.
    pub length: u64,
}

/// Who is told of operations.
pub type Watcher = Arc<dyn Fn(&Simulator, &Operation) + Send + Sync>;

impl Operation {
    /// Whether it changes or flushes something, so that it counts for a fuse.
    pub fn counts(&self) -> bool {
        self.kind != OperationKind::Read
    }
}

/// What an operation works on.
pub(super) enum Object<'a> {
    Name(&'a str),
    File(FileId),
    Directory,
}

/// Tells whoever watches, if somebody does.
pub(super) fn tell(shared: &Arc<Mutex<State>>, kind: OperationKind, object: Object<'_>, (offset, length): (u64, u64)) {
    let state = shared.lock();
    let Some(watcher) = state.faults.watcher.clone() else { return };
    let name = match object {
        Object::Name(name) => name.to_owned(),
        Object::File(id) => {
            let found = state.names.iter().find(|(_, file)| **file == id);
            found.map(|(name, _)| name.clone()).unwrap_or_default()
        }
        Object::Directory => String::new(),
    };
    drop(state);
    watcher(&Simulator { state: Arc::clone(shared) }, &Operation { kind, name, offset, length });
}
