//! Which paths differ between two states of a dataset, in the time that the difference takes.
//!
//! The trees are compared ([`collect`]), which gives changed inodes and changed names by inode; names that
//! went and names that came are matched ([`names`]), and what is left of them are paths ([`report`]).
//!
//! What a user sees, beside what [`DifferenceKind`] says:
//!
//! - A path that is not told of is where its directory is, and what it names is as before. So what lies
//!   below a renamed directory is not told of, and no directory is only because names in it came or went.
//! - Content, kind, permission bits, owners, size, the time of modification, device numbers and extended attributes
//!   are compared. The times of access, change and creation are not, nor a directory's time of modification,
//!   nor how many names something has.
//! - Another file in the place of an old one, as by a rename over it, is compared with it: the path is modified, or not
//!   told of. The same goes for a directory that was made anew, and for all that is in it.
//! - Of a file with several names every path is told.
//! - What has no name, because somebody has it open still, is not there.
//!
//! Invariant: memory is proportional to the changed inodes and names and the directories they are in, never to
//! the trees; nothing recurses as deep as directories do.

mod collect;
mod compare;
mod names;
mod report;
mod twins;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::Layers;
use crate::error::{ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::diff::collect::Presence;
use crate::fs::{Inode, NamePlace, Names};
use crate::store::Store;
use crate::tree::Root;

/// What a [`Difference`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// A file, or one more name of a file, that the older one has not.
    Added,
    /// A file, or a name of a file, that the newer one has not.
    Removed,
    /// Its content or attributes changed.
    Modified,
    /// The same file has another path. Its content and attributes may have changed too.
    Renamed,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What happened.
    pub kind: DifferenceKind,
    /// The path in the newer one, or the older where it was removed; starts with `/`.
    pub path: Vec<u8>,
    /// Where it was before, for a rename.
    pub from: Option<Vec<u8>>,
    /// Bytes of the file's blocks that differ, became a hole, or were one. All its blocks, where the file is in one state
    /// only; none, where it is in both and a name came or went.
    pub changed_bytes: u64,
}

/// Two states to compare.
pub struct Comparison<'a> {
    old: Layers,
    new: Layers,
    names: &'a Names,
    shared: InodeNumber,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Old,
    New,
}

/// Changed inodes, and those that have changed names.
type Touched = BTreeMap<InodeNumber, collect::Inodes>;

/// A name, and where it is.
type Name = (NamePlace, Vec<u8>);

impl<'a> Comparison<'a> {
    /// Compares the trees of two roots with blocks of `block_len` bytes. Numbers from `shared` on mean different files in them.
    pub fn new(
        store: &Arc<Store>,
        block_len: u32,
        (old, new): (Root, Root),
        names: &'a Names,
        shared: InodeNumber,
    ) -> Self {
        let layers = |root| Layers::new(Arc::clone(store), block_len, root);
        Self { old: layers(old), new: layers(new), names, shared }
    }

    /// Calls `found` with what differs, by path, until it returns false.
    pub fn run(&self, found: &mut dyn FnMut(Difference) -> bool) -> Result<()> {
        let mut touched = self.collect()?;
        self.part_twins(&mut touched)?;
        self.match_names(touched)?.tell(found);
        Ok(())
    }

    fn side(&self, side: Side) -> &Layers {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    /// What a side has of an inode.
    fn presence(&self, side: Side, inode: InodeNumber) -> Result<Presence> {
        match Inode::load(self.side(side), inode) {
            Ok(inode) => Ok(Presence::of(&inode)),
            Err(error) if error.kind() == ErrorKind::Stale => Ok(Presence::Absent),
            Err(error) => Err(error),
        }
    }
}
