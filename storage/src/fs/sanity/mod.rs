//! Checks that the items of a tree fit each other, which no checksum tells.
//!
//! Invariant: a tree is compared with one that was found sound before. What is the same in both fits there as well, and is
//! not looked at, so a check takes the time that the difference takes.
//!
//! What the items of one inode say of each other is checked as the comparison comes by them. Names are told twice: by the
//! entry, and by the inode, which knows where it has them. Each adds to a sum for the inode, so that all that agree cancel.
//! Sums are kept for some inode numbers at a time, which bounds memory; then the trees are compared again for the next ones.

mod examine;
mod object;
mod sums;

use std::collections::{BTreeSet, HashSet};

use crate::content::Items;
use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::sanity::object::Object;
use crate::fs::sanity::sums::Sums;
use crate::fs::{Inode, layout};
use crate::tree::{NodeStore, Root, diff};

/// Most inodes of one tree that are told of.
const SUSPECTS_MAX: usize = 10_000;

/// A tree to be checked.
#[derive(Clone, Copy)]
pub struct Checked<'a> {
    /// Where its nodes are.
    pub nodes: &'a dyn NodeStore,
    /// The tree.
    pub root: &'a Root,
    /// The same, as items.
    pub items: &'a dyn Items,
    /// One that was checked before; the empty tree, if none was that has much in common with it.
    pub base: &'a Root,
    /// Bytes of a block.
    pub block_len: u64,
}

/// An inode whose items do not fit, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsound {
    /// Which one. It may not exist.
    pub inode: InodeNumber,
    /// What is wrong.
    pub problem: String,
}

/// Checks a tree. `known` are inodes that did not fit in the base: they are looked at again. Keeps sums for at most `sums_max`
/// inodes at once. Ends early, without having found anything, when `go_on` returns false; fails where something cannot be
/// read.
pub fn check(
    tree: &Checked<'_>,
    known: &BTreeSet<InodeNumber>,
    sums_max: usize,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Unsound>> {
    let mut pass = Pass { tree, suspects: known.clone(), above: HashSet::new(), above_max: sums_max, failed: None };
    let mut sums = Sums::first(sums_max);
    let mut is_first = true;
    loop {
        if !pass.run(&mut sums, is_first, go_on)? {
            return Ok(Vec::new());
        }
        pass.suspects.extend(sums.unsettled());
        is_first = false;
        match sums.next() {
            Some(next) => sums = next,
            None => break,
        }
    }
    while pass.suspects.len() > SUSPECTS_MAX {
        pass.suspects.pop_last();
    }
    examine::examine(tree, &pass.suspects)
}

struct Pass<'a> {
    tree: &'a Checked<'a>,
    suspects: BTreeSet<InodeNumber>,
    /// Directories that are known to lie somewhere below the root.
    above: HashSet<InodeNumber>,
    above_max: usize,
    failed: Option<Error>,
}

impl Pass<'_> {
    /// Compares the trees. What inodes say of themselves is checked the first time only. Returns whether it came to the end.
    fn run(&mut self, sums: &mut Sums, is_first: bool, go_on: &mut dyn FnMut() -> bool) -> Result<bool> {
        let tree = self.tree;
        let (mut object, mut goes_on): (Option<Object>, _) = (None, true);
        diff(tree.nodes, tree.base, tree.root, &mut |change| {
            sums.take(&change);
            if is_first && change.key.object != layout::ORPHANS {
                let number = InodeNumber(change.key.object);
                if object.as_ref().is_some_and(|object| object.number != number) {
                    self.close(object.take());
                }
                object.get_or_insert_with(|| Object::new(number, tree.block_len)).take(&change);
            }
            goes_on = go_on();
            self.failed.is_none() && goes_on
        })?;
        self.close(object);
        self.failed.take().map_or(Ok(goes_on), Err)
    }

    fn close(&mut self, object: Option<Object>) {
        let Some(object) = object else { return };
        match self.fits(&object) {
            Ok(true) => {}
            Ok(false) => _ = self.suspects.insert(object.number),
            Err(error) => self.failed = Some(error),
        }
    }

    fn fits(&mut self, object: &Object) -> Result<bool> {
        if object.problem(self.tree.items)?.is_some() {
            return Ok(false);
        }
        let Some(directory) = object.new.as_ref().filter(|inode| inode.is_directory() && object.is_moved()) else {
            return Ok(true);
        };
        let (way, is_circle) = way_up(self.tree.items, directory, &self.above)?;
        if is_circle {
            self.suspects.extend(way);
            return Ok(false);
        }
        if self.above.len() + way.len() > self.above_max {
            self.above.clear();
        }
        self.above.extend(way);
        Ok(true)
    }
}

/// A directory and those above it, up to the root or one of `above`, and whether they go round in a circle. Where one does not
/// exist the way ends: that is found by its name.
fn way_up(items: &dyn Items, from: &Inode, above: &HashSet<InodeNumber>) -> Result<(HashSet<InodeNumber>, bool)> {
    let mut way = HashSet::new();
    let (mut at, mut parent) = (from.number, from.parent());
    while at != InodeNumber::ROOT && !above.contains(&at) {
        if !way.insert(at) {
            return Ok((way, true));
        }
        let next = match Inode::load_directory(items, parent) {
            Err(error) if matches!(error.kind(), ErrorKind::Stale | ErrorKind::NotDirectory) => break,
            other => other?,
        };
        (at, parent) = (next.number, next.parent());
    }
    Ok((way, false))
}
