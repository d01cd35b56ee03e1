//! What the comparison of two trees says, put together by inode.

use crate::content::RUN_KIND;
use crate::error::Result;
use crate::format::InodeNumber;
use crate::fs::diff::{Comparison, Name, Side, Touched};
use crate::fs::layout::{ENTRY_KIND, INODE_KIND, TARGET_KIND, XATTR_CHUNK_KIND, XATTR_KIND};
use crate::fs::{FileKind, Inode, NamePlace, directory, inode};
use crate::tree::{self, Change, Content};

/// What both sides have of one inode number.
#[derive(Debug, Default)]
pub(super) struct Inodes {
    pub old: Presence,
    pub new: Presence,
    /// Whether attributes differ that count.
    pub differs: bool,
    /// Bytes of blocks that differ.
    pub bytes: u64,
    /// Names that only the old side has.
    pub lost: Vec<Name>,
    /// Names that only the new side has.
    pub gained: Vec<Name>,
    /// Whether both sides have the same file, to be told of as one.
    pub same: bool,
}

/// What a side has of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Presence {
    /// Not looked up yet.
    #[default]
    Unknown,
    Absent,
    /// It has no name any more.
    Orphan,
    Named(FileKind),
}

impl Presence {
    pub fn of(inode: &Inode) -> Self {
        if inode.links == 0 { Self::Orphan } else { Self::Named(inode.kind) }
    }

    pub fn is_named(self) -> bool {
        matches!(self, Self::Named(_))
    }
}

impl Comparison<'_> {
    /// Compares the trees.
    pub(super) fn collect(&self) -> Result<Touched> {
        let mut collected = Collected { touched: Touched::new(), block_len: u64::from(self.new.block_len()) };
        let mut problem = None;
        tree::diff(&**self.new.store(), self.old.root(), self.new.root(), &mut |change| {
            problem = collected.take(&change).err();
            problem.is_none()
        })?;
        problem.map_or(Ok(()), Err)?;
        self.look_up(&mut collected.touched)?;
        Ok(collected.touched)
    }

    /// Looks up what is not known yet of inodes.
    pub(super) fn look_up(&self, touched: &mut Touched) -> Result<()> {
        for (number, inodes) in touched {
            for (side, presence) in [(Side::Old, &mut inodes.old), (Side::New, &mut inodes.new)] {
                if *presence == Presence::Unknown {
                    *presence = self.presence(side, *number)?;
                }
            }
        }
        Ok(())
    }
}

struct Collected {
    touched: Touched,
    block_len: u64,
}

impl Collected {
    fn take(&mut self, change: &Change<'_>) -> Result<()> {
        let object = InodeNumber(change.key.object);
        match change.key.kind {
            INODE_KIND => self.inode(object, change)?,
            ENTRY_KIND => self.entry(NamePlace { directory: object, position: change.key.position }, change)?,
            RUN_KIND => self.of(object).bytes += self.block_len,
            XATTR_KIND | XATTR_CHUNK_KIND | TARGET_KIND => self.of(object).differs = true,
            _ => {}
        }
        Ok(())
    }

    fn of(&mut self, inode: InodeNumber) -> &mut Inodes {
        self.touched.entry(inode).or_default()
    }

    fn inode(&mut self, number: InodeNumber, change: &Change<'_>) -> Result<()> {
        let decode = |side| bytes(side).map(|bytes| inode::decode(number, bytes)).transpose();
        let (old, new) = (decode(change.old)?, decode(change.new)?);
        let presence = |inode: &Option<Inode>| inode.as_ref().map_or(Presence::Absent, Presence::of);
        let inodes = self.of(number);
        (inodes.old, inodes.new) = (presence(&old), presence(&new));
        if let (Some(old), Some(new)) = (old, new) {
            inodes.differs |= !old.looks_like(&new);
        }
        Ok(())
    }

    fn entry(&mut self, place: NamePlace, change: &Change<'_>) -> Result<()> {
        if let Some(old) = bytes(change.old) {
            let (inode, _, name) = directory::decode(old)?;
            self.of(inode).lost.push((place, name.to_vec()));
        }
        if let Some(new) = bytes(change.new) {
            let (inode, _, name) = directory::decode(new)?;
            self.of(inode).gained.push((place, name.to_vec()));
        }
        Ok(())
    }
}

fn bytes(side: Option<Content<'_>>) -> Option<&[u8]> {
    match side? {
        Content::Bytes(bytes) => Some(bytes),
        Content::Block(_) => None,
    }
}
