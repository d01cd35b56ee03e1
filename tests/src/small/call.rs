//! One call of a file system, with its files named by their paths.
//!
//! Invariant: a call does the same to a pool's file system and to a model of it, for both are asked by the same words.

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability, XattrMode};

use crate::random::Random;

/// A path: names joined by `/`, from the root.
pub type Path = &'static str;

/// What a file system is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Make an empty file.
    Create(Path),
    /// Make a directory.
    Mkdir(Path),
    /// Make a symbolic link to a target.
    Symlink(Path, &'static str),
    /// Make a named pipe.
    Fifo(Path),
    /// Write bytes that nothing compresses: where, and how many.
    Write(Path, u64, usize, Stability),
    /// Set the length.
    Truncate(Path, u64),
    /// Make a range a hole: where, and how many bytes.
    Punch(Path, u64, u64),
    /// Rename the first to the second.
    Rename(Path, Path),
    /// Give the first one a second name.
    Link(Path, Path),
    /// Remove a name.
    Unlink(Path),
    /// Remove an empty directory.
    Rmdir(Path),
    /// Set the permission bits.
    Chmod(Path, u32),
    /// Set an extended attribute.
    SetXattr(Path, &'static str),
    /// Remove an extended attribute.
    RemoveXattr(Path, &'static str),
    /// Keep it open until the process ends.
    Open(Path),
    /// Make it durable: fsync and COMMIT.
    Sync(Path),
}

impl Call {
    /// Makes the call at a time that also decides what is written. Returns the number of an inode that it made.
    pub fn make(&self, files: &dyn FileSystem, durable: bool, time: i64) -> Result<Option<InodeNumber>> {
        let who = Context {
            now: Timestamp { seconds: time, nanoseconds: 0 },
            caller: Caller::Superuser,
            durable,
            call: None,
        };
        let nothing = AttributeChange::default();
        let find = |path| find(files, path);
        match *self {
            Self::Create(path) => create(files, &who, path, &NewObject::Regular { exclusive: None }),
            Self::Mkdir(path) => create(files, &who, path, &NewObject::Directory),
            Self::Symlink(path, target) => create(files, &who, path, &NewObject::Symlink(target.into())),
            Self::Fifo(path) => create(files, &who, path, &NewObject::Fifo),
            Self::Write(path, offset, length, stability) => {
                let bytes = Random::new(time as u64).bytes(length);
                files.write(&who, find(path)?, offset, &bytes, stability).map(|_| None)
            }
            Self::Truncate(path, size) => {
                let change = AttributeChange { size: Some(size), ..nothing };
                files.set_attributes(&who, find(path)?, &change, None).map(|_| None)
            }
            Self::Chmod(path, mode) => {
                let change = AttributeChange { mode: Some(mode), ..nothing };
                files.set_attributes(&who, find(path)?, &change, None).map(|_| None)
            }
            Self::Punch(path, offset, length) => files.punch(&who, find(path)?, offset, length).map(|_| None),
            Self::Rename(from, to) => {
                let ((from, name), (to, new)) = (parent(files, from)?, parent(files, to)?);
                files.rename(&who, from, name, to, new).map(|_| None)
            }
            Self::Link(path, new) => {
                let (directory, name) = parent(files, new)?;
                files.link(&who, find(path)?, directory, name).map(|_| None)
            }
            Self::Unlink(path) => {
                let (directory, name) = parent(files, path)?;
                files.remove(&who, directory, name).map(|_| None)
            }
            Self::Rmdir(path) => {
                let (directory, name) = parent(files, path)?;
                files.remove_directory(&who, directory, name).map(|_| None)
            }
            Self::SetXattr(path, name) => {
                let value = Random::new(time as u64).bytes(40);
                files.set_xattr(&who, find(path)?, name.as_bytes(), &value, XattrMode::Any).map(|()| None)
            }
            Self::RemoveXattr(path, name) => files.remove_xattr(&who, find(path)?, name.as_bytes()).map(|()| None),
            Self::Open(path) => files.retain(find(path)?).map(|()| None),
            Self::Sync(path) => files.sync(find(path)?).map(|()| None),
        }
    }

    /// The file that it makes durable first of all, in a file system as it is before it.
    pub fn synced(&self, files: &dyn FileSystem, durable: bool) -> Option<InodeNumber> {
        match *self {
            Self::Sync(path) => find(files, path).ok(),
            // What takes another's name is durable first.
            Self::Rename(from, to) if durable => find(files, to).and_then(|_| find(files, from)).ok(),
            _ => None,
        }
    }

    /// The file that a write leaves with bytes that nothing promises.
    pub fn unsynced(&self, files: &dyn FileSystem) -> Option<InodeNumber> {
        match *self {
            Self::Write(path, .., Stability::Unstable) => find(files, path).ok(),
            _ => None,
        }
    }

    /// Whether the log gets a record of it.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Self::Write(.., Stability::Unstable) | Self::Sync(_) | Self::Open(_))
    }

    /// Whether it has returned only when all before it is durable too.
    pub fn waits(&self, durable: bool) -> bool {
        match self {
            Self::Write(.., stability) => *stability != Stability::Unstable,
            Self::Sync(_) => true,
            Self::Open(_) => false,
            _ => durable,
        }
    }
}

fn create(files: &dyn FileSystem, who: &Context, path: Path, object: &NewObject) -> Result<Option<InodeNumber>> {
    let (directory, name) = parent(files, path)?;
    let created = files.create(who, directory, name, object, 0o755, &AttributeChange::default())?;
    Ok(Some(created.object.inode))
}

/// What a path names.
pub fn find(files: &dyn FileSystem, path: Path) -> Result<InodeNumber> {
    let who = Context { now: Timestamp::default(), caller: Caller::Superuser, durable: false, call: None };
    let mut inode = InodeNumber::ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        inode = files.lookup(&who, inode, name.as_bytes())?.inode;
    }
    Ok(inode)
}

/// The directory of a path, and the name in it.
fn parent(files: &dyn FileSystem, path: Path) -> Result<(InodeNumber, &'static [u8])> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.is_empty() {
        true => Err(Error::from(ErrorKind::Invalid)),
        false => Ok((find(files, directory)?, name.as_bytes())),
    }
}
