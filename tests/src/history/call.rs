//! One call of a file system as data, made to a pool and to a model alike, and its answer.

use std::fmt;

use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::{DatasetId, InodeNumber, Timestamp};
use cow_storage::fs::{
    AttributeChange, Attributes, Changed, Context, Created, FileKind, FileSystem, Linked, NewObject, ReadOutcome,
    Renamed, SeekTarget, Stability, XattrMode,
};

use crate::history::Data;

/// A name in a directory.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place(pub InodeNumber, pub Vec<u8>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = &self.1[..self.1.len().min(16)];
        write!(f, "{}/{} ({} bytes)", self.0.0, short.escape_ascii(), self.1.len())
    }
}

#[derive(Clone, Debug)]
pub(super) enum Call {
    Attributes(InodeNumber),
    SetAttributes(InodeNumber, AttributeChange, Option<Timestamp>),
    Lookup(Place),
    ReadLink(InodeNumber),
    Read(InodeNumber, u64, usize),
    Write(InodeNumber, u64, Data, Stability),
    Sync(InodeNumber),
    Create(Place, NewObject, u32, AttributeChange),
    Link(InodeNumber, Place),
    Remove(Place),
    RemoveDirectory(Place),
    Rename(Place, Place),
    /// Reads it all, in pages of so many names.
    ReadDirectory(InodeNumber, usize),
    Parent(InodeNumber),
    Punch(InodeNumber, u64, u64),
    Seek(InodeNumber, u64, SeekTarget),
    ListXattrs(InodeNumber),
    Xattr(InodeNumber, Vec<u8>),
    SetXattr(InodeNumber, Vec<u8>, Data, XattrMode),
    RemoveXattr(InodeNumber, Vec<u8>),
    Retain(InodeNumber),
    Release(InodeNumber),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Attributes(Attributes),
    Changed(Changed),
    Created(Created),
    Linked(Linked),
    Renamed(Renamed),
    Read(ReadOutcome, Vec<u8>),
    Bytes(Vec<u8>),
    Names(Vec<Vec<u8>>),
    /// By name: cookies are each file system's own.
    Entries(Vec<(Vec<u8>, InodeNumber, FileKind)>),
    Inode(InodeNumber),
    Offset(Option<u64>),
}

impl Call {
    pub fn make(&self, files: &dyn FileSystem, who: &Context) -> Result<Answer, ErrorKind> {
        self.answer(files, who).map_err(|error| error.kind())
    }

    /// The same, with the whole error.
    pub fn answer(&self, files: &dyn FileSystem, who: &Context) -> Result<Answer, Error> {
        Ok(match self {
            Self::Attributes(inode) => Answer::Attributes(files.attributes(*inode)?),
            Self::SetAttributes(inode, change, guard) => {
                Answer::Changed(files.set_attributes(who, *inode, change, *guard)?)
            }
            Self::Lookup(place) => Answer::Attributes(files.lookup(who, place.0, &place.1)?),
            Self::ReadLink(inode) => Answer::Bytes(files.read_link(who, *inode)?),
            Self::Read(inode, offset, length) => {
                let mut buffer = vec![0xee; *length];
                let outcome = files.read(who, *inode, *offset, &mut buffer)?;
                buffer.truncate(outcome.length);
                Answer::Read(outcome, buffer)
            }
            Self::Write(inode, offset, data, stability) => {
                Answer::Changed(files.write(who, *inode, *offset, &data.bytes(), *stability)?)
            }
            Self::Sync(inode) => files.sync(*inode).map(|()| Answer::Nothing)?,
            Self::Create(place, object, mode, initial) => {
                Answer::Created(files.create(who, place.0, &place.1, object, *mode, initial)?)
            }
            Self::Link(inode, place) => Answer::Linked(files.link(who, *inode, place.0, &place.1)?),
            Self::Remove(place) => Answer::Changed(files.remove(who, place.0, &place.1)?),
            Self::RemoveDirectory(place) => Answer::Changed(files.remove_directory(who, place.0, &place.1)?),
            Self::Rename(from, to) => Answer::Renamed(files.rename(who, from.0, &from.1, to.0, &to.1)?),
            Self::ReadDirectory(inode, limit) => Answer::Entries(entries(files, who, *inode, *limit)?),
            Self::Parent(inode) => Answer::Inode(files.parent(*inode)?),
            Self::Punch(inode, offset, length) => Answer::Changed(files.punch(who, *inode, *offset, *length)?),
            Self::Seek(inode, offset, target) => Answer::Offset(files.seek(*inode, *offset, *target)?),
            Self::ListXattrs(inode) => Answer::Names(files.list_xattrs(who, *inode)?),
            Self::Xattr(inode, name) => Answer::Bytes(files.xattr(who, *inode, name)?),
            Self::SetXattr(inode, name, data, mode) => {
                files.set_xattr(who, *inode, name, &data.bytes(), *mode).map(|()| Answer::Nothing)?
            }
            Self::RemoveXattr(inode, name) => files.remove_xattr(who, *inode, name).map(|()| Answer::Nothing)?,
            Self::Retain(inode) => files.retain(*inode).map(|()| Answer::Nothing)?,
            Self::Release(inode) => {
                files.release(*inode);
                Answer::Nothing
            }
        })
    }

    /// Whether it may change names, attributes or content.
    pub fn is_change(&self) -> bool {
        matches!(
            self,
            Self::SetAttributes(..)
                | Self::Write(..)
                | Self::Create(..)
                | Self::Link(..)
                | Self::Remove(..)
                | Self::RemoveDirectory(..)
                | Self::Rename(..)
                | Self::Punch(..)
                | Self::SetXattr(..)
                | Self::RemoveXattr(..)
        )
    }

    /// Whether it is a write to this file that promises nothing.
    pub fn writes(&self, id: DatasetId, file: (DatasetId, InodeNumber)) -> bool {
        matches!(self, Self::Write(inode, .., Stability::Unstable) if (id, *inode) == file)
    }

    /// Whether, where a commit makes the call durable, that has what the call did.
    pub fn is_made_durable_by_commit(&self) -> bool {
        matches!(self, Self::Sync(_) | Self::Write(.., Stability::Data | Stability::File))
    }

    /// Whether it is sure not to wait for a commit while little is dirty and the log is not half full.
    pub fn is_small(&self) -> bool {
        match self {
            Self::Create(..) | Self::Sync(_) => false,
            Self::Write(_, _, data, _) | Self::SetXattr(_, _, data, _) => data.length <= 16 << 10,
            _ => true,
        }
    }

    /// Whether an inode may lose its last name by it, or its last user.
    pub fn may_orphan(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::RemoveDirectory(_) | Self::Rename(..) | Self::Release(_))
    }

    /// The same without what it asks of the past: for doing again what is known to have been done.
    pub fn unguarded(&self) -> Self {
        match self {
            Self::SetAttributes(inode, change, _) => Self::SetAttributes(*inode, change.clone(), None),
            other => other.clone(),
        }
    }

    /// The inodes it names.
    pub fn inodes(&self) -> Vec<InodeNumber> {
        match self {
            Self::Attributes(inode)
            | Self::SetAttributes(inode, ..)
            | Self::ReadLink(inode)
            | Self::Read(inode, ..)
            | Self::Write(inode, ..)
            | Self::Sync(inode)
            | Self::ReadDirectory(inode, _)
            | Self::Parent(inode)
            | Self::Punch(inode, ..)
            | Self::Seek(inode, ..)
            | Self::ListXattrs(inode)
            | Self::Xattr(inode, _)
            | Self::SetXattr(inode, ..)
            | Self::RemoveXattr(inode, _)
            | Self::Retain(inode)
            | Self::Release(inode) => vec![*inode],
            Self::Lookup(place) | Self::Create(place, ..) | Self::Remove(place) | Self::RemoveDirectory(place) => {
                vec![place.0]
            }
            Self::Link(inode, place) => vec![*inode, place.0],
            Self::Rename(from, to) => vec![from.0, to.0],
        }
    }
}

/// All names of a directory; its cookies must lead through it.
fn entries(
    files: &dyn FileSystem,
    who: &Context,
    inode: InodeNumber,
    limit: usize,
) -> Result<Vec<(Vec<u8>, InodeNumber, FileKind)>, Error> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = files.read_directory(who, inode, after, limit)?;
        assert!(page.entries.len() <= limit, "a page of a directory is longer than asked for");
        assert!(page.end || !page.entries.is_empty(), "a page of a directory leads nowhere");
        for entry in page.entries {
            assert!(entry.cookie > after.max(2) && entry.cookie < 1 << 63, "cookie {} after {after}", entry.cookie);
            after = entry.cookie;
            found.push((entry.name, entry.inode, entry.kind));
        }
        if page.end {
            found.sort_by(|one, other| one.0.cmp(&other.0));
            return Ok(found);
        }
    }
}
