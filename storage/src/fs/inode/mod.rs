//! An inode in memory: loaded from its item, changed, and stored again.
//!
//! Invariant: `links` is 0 exactly for an orphan; a directory's `size` is [`layout::ENTRY_SIZE`] for each entry; the entry
//! at an inode's home names the inode, unless it is an orphan or the root.

mod codec;

pub(crate) use codec::{check_version, decode, encode, is_sound_place, kind_code, kind_of, put_time, take_time};

use crate::content::{Items, ItemsMut};
use crate::error::{ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::{Attributes, Changed, FileKind, layout};

/// Where a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePlace {
    /// The directory that has it.
    pub directory: InodeNumber,
    /// The entry's position there.
    pub position: u64,
}

/// All that is kept of an inode beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Its number.
    pub number: InodeNumber,
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, 07777.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Bytes: see [`Attributes::size`].
    pub size: u64,
    /// Grows with every change of content or attributes.
    pub change: u64,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Creation.
    pub created: Timestamp,
    /// Where one of its names is, the others are in [`links`]; of an orphan where the last one was. The root, which has no
    /// name, is at position 0 in itself.
    ///
    /// [`links`]: crate::fs::links
    pub home: NamePlace,
    /// Of a device node: its major and minor number. Of others 0.
    pub device: (u32, u32),
    /// Of a regular file: the verifier of the exclusive create that made it, until attributes are set.
    pub exclusive: Option<u64>,
    /// Bytes in the names of its extended attributes, each with one byte more.
    pub xattr_names: u32,
}

impl Inode {
    /// A new inode with one link, whose place is not known yet, and all times at `now`.
    pub fn new(number: InodeNumber, kind: FileKind, now: Timestamp) -> Self {
        Self {
            number,
            kind,
            mode: 0,
            links: if kind == FileKind::Directory { 2 } else { 1 },
            uid: 0,
            gid: 0,
            size: 0,
            change: 1,
            accessed: now,
            modified: now,
            changed: now,
            created: now,
            home: NamePlace { directory: InodeNumber::ROOT, position: 0 },
            device: (0, 0),
            exclusive: None,
            xattr_names: 0,
        }
    }

    /// Reads an inode; `Stale` if there is none.
    pub fn load(items: &dyn Items, number: InodeNumber) -> Result<Self> {
        match items.get(layout::inode_key(number))? {
            Some(value) => Ok(decode(number, &value)?),
            None => Err(ErrorKind::Stale.into()),
        }
    }

    /// Reads the inode of a directory; `NotDirectory` if it is none.
    pub fn load_directory(items: &dyn Items, number: InodeNumber) -> Result<Self> {
        let inode = Self::load(items, number)?;
        if inode.is_directory() { Ok(inode) } else { Err(ErrorKind::NotDirectory.into()) }
    }

    /// Reads the inode of a regular file; `IsDirectory` or `Invalid` if it is none.
    pub fn load_regular(items: &dyn Items, number: InodeNumber) -> Result<Self> {
        let inode = Self::load(items, number)?;
        match inode.kind {
            FileKind::Regular => Ok(inode),
            FileKind::Directory => Err(ErrorKind::IsDirectory.into()),
            _ => Err(ErrorKind::Invalid.into()),
        }
    }

    /// Writes the inode's item.
    pub fn store(&self, items: &mut dyn ItemsMut) -> Result<()> {
        items.put(layout::inode_key(self.number), encode(self))
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Of a directory: the one that holds it.
    pub fn parent(&self) -> InodeNumber {
        self.home.directory
    }

    /// Notes that something of it changed.
    pub fn touch(&mut self, now: Timestamp) {
        self.changed = now;
        self.change += 1;
    }

    /// Bytes of the blocks that it has.
    pub fn allocated(&self, items: &dyn Items) -> Result<u64> {
        match self.kind {
            FileKind::Regular => items.allocated(self.number),
            _ => Ok(0),
        }
    }

    /// What `stat` tells of it, where `items` are the state that it was loaded from, or stored to.
    pub fn attributes(&self, items: &dyn Items) -> Result<Attributes> {
        Ok(self.attributes_with(self.allocated(items)?))
    }

    /// Of a directory: that nothing about it changes.
    pub(crate) fn unchanged(&self) -> Changed {
        Changed { before: self.attributes_with(0), after: self.attributes_with(0) }
    }

    /// What `stat` tells of it, with this many bytes allocated.
    pub(crate) fn attributes_with(&self, allocated: u64) -> Attributes {
        Attributes {
            inode: self.number,
            kind: self.kind,
            mode: self.mode,
            links: self.links,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            allocated,
            device: self.device,
            accessed: self.accessed,
            modified: self.modified,
            changed: self.changed,
            created: self.created,
            change: self.change,
        }
    }
}
