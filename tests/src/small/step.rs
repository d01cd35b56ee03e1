//! What a program is made of, and how it is done to a pool.

use std::fmt;

use cow_storage::catalog::PropertyChange;
use cow_storage::error::Result;
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::Stability;
use cow_storage::pool::{Pool, Progress};

use crate::small::{Call, Path};

/// The dataset that most steps are about.
pub const MAIN: &str = "m";

/// One step of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A call of a dataset's file system, which is durable when it returns, or only with whatever is next.
    Call {
        /// Which dataset's.
        dataset: &'static str,
        /// What is called.
        call: Call,
        /// Whether it is waited for.
        durable: bool,
    },
    /// A snapshot: of which dataset, and its name in that.
    Snapshot(&'static str, &'static str),
    /// A clone of a snapshot: its name.
    Clone(&'static str, &'static str),
    /// A dataset goes back to a snapshot.
    Rewind(&'static str, &'static str),
    /// A dataset or snapshot goes.
    Destroy(&'static str),
    /// Everything is made durable.
    Commit,
    /// What was destroyed is given back, as far as that is at once possible.
    Reclaim,
}

impl Step {
    /// The same, not waited for.
    #[must_use]
    pub const fn logged(self) -> Self {
        match self {
            Self::Call { dataset, call, .. } => Self::Call { dataset, call, durable: false },
            other => other,
        }
    }

    /// The same in another dataset.
    #[must_use]
    pub const fn of(self, dataset: &'static str) -> Self {
        match self {
            Self::Call { call, durable, .. } => Self::Call { dataset, call, durable },
            other => other,
        }
    }

    /// Does it. Returns the number of an inode that it made.
    pub fn act(&self, pool: &Pool, time: i64) -> Result<Option<InodeNumber>> {
        let now = Timestamp { seconds: time, nanoseconds: 0 };
        match *self {
            Self::Call { dataset, call, durable } => return call.make(&*pool.file_system(dataset)?, durable, time),
            Self::Snapshot(dataset, name) => drop(pool.snapshot(&[(dataset, name)], now)?),
            Self::Clone(snapshot, name) => {
                drop(pool.clone_snapshot(snapshot, name, &PropertyChange::default(), now)?);
            }
            Self::Rewind(dataset, to) => drop(pool.rewind(dataset, to, now)?),
            Self::Destroy(name) => pool.destroy(name, false, now)?,
            Self::Commit => pool.commit(now)?,
            Self::Reclaim => {
                pool.purge(Timestamp { seconds: time + 1, nanoseconds: 0 }, now)?;
                while !matches!(pool.reclaim_step(100, now)?, Progress { idle: true, .. }) {}
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { dataset, call, durable } => {
                write!(f, "{dataset}: {call:?}{}", if *durable { "" } else { ", not waited for" })
            }
            Self::Snapshot(dataset, name) => write!(f, "snapshot {dataset}@{name}"),
            Self::Clone(snapshot, name) => write!(f, "clone {snapshot} to {name}"),
            Self::Rewind(dataset, to) => write!(f, "rewind {dataset} to {to}"),
            Self::Destroy(name) => write!(f, "destroy {name}"),
            Self::Commit => write!(f, "commit"),
            Self::Reclaim => write!(f, "reclaim"),
        }
    }
}

/// A call of the main dataset.
const fn call(call: Call) -> Step {
    Step::Call { dataset: MAIN, call, durable: true }
}

/// Makes an empty file.
pub const fn create(path: Path) -> Step {
    call(Call::Create(path))
}

/// Makes a directory.
pub const fn mkdir(path: Path) -> Step {
    call(Call::Mkdir(path))
}

/// Makes a symbolic link.
pub const fn symlink(path: Path, target: &'static str) -> Step {
    call(Call::Symlink(path, target))
}

/// Makes a named pipe.
pub const fn fifo(path: Path) -> Step {
    call(Call::Fifo(path))
}

/// Writes without a promise.
pub const fn write(path: Path, offset: u64, length: usize) -> Step {
    call(Call::Write(path, offset, length, Stability::Unstable))
}

/// Writes, and returns when that is durable.
pub const fn write_through(path: Path, offset: u64, length: usize) -> Step {
    call(Call::Write(path, offset, length, Stability::File))
}

/// Sets a length.
pub const fn truncate(path: Path, size: u64) -> Step {
    call(Call::Truncate(path, size))
}

/// Makes a hole.
pub const fn punch(path: Path, offset: u64, length: u64) -> Step {
    call(Call::Punch(path, offset, length))
}

/// Renames.
pub const fn rename(from: Path, to: Path) -> Step {
    call(Call::Rename(from, to))
}

/// Makes one more name.
pub const fn link(path: Path, new: Path) -> Step {
    call(Call::Link(path, new))
}

/// Removes a name.
pub const fn unlink(path: Path) -> Step {
    call(Call::Unlink(path))
}

/// Removes an empty directory.
pub const fn rmdir(path: Path) -> Step {
    call(Call::Rmdir(path))
}

/// Sets permission bits.
pub const fn chmod(path: Path, mode: u32) -> Step {
    call(Call::Chmod(path, mode))
}

/// Sets an extended attribute.
pub const fn set_xattr(path: Path, name: &'static str) -> Step {
    call(Call::SetXattr(path, name))
}

/// Removes an extended attribute.
pub const fn remove_xattr(path: Path, name: &'static str) -> Step {
    call(Call::RemoveXattr(path, name))
}

/// Keeps a file open.
pub const fn open(path: Path) -> Step {
    call(Call::Open(path))
}

/// Makes a file or directory durable.
pub const fn sync(path: Path) -> Step {
    call(Call::Sync(path))
}
