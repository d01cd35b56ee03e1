//! Finds names of inodes that do not tell them: in a tree that is damaged.

use std::collections::{BTreeSet, HashMap};

use crate::format::InodeNumber;
use crate::fs::directory;
use crate::fs::layout::ENTRY_KIND;
use crate::tree::{ItemRef, NodeStore, Root, Step, Visited, walk_all};

/// A name of each of `inodes`, and the directory that it is in, as far as one is found. Reads the whole tree but for what is
/// damaged.
pub fn search_names(
    nodes: &dyn NodeStore,
    root: &Root,
    inodes: &BTreeSet<InodeNumber>,
) -> HashMap<InodeNumber, (InodeNumber, Vec<u8>)> {
    let mut names = HashMap::new();
    walk_all(nodes, root, &mut |visited| {
        if let Visited::Item(key, ItemRef::Bytes(value)) = visited
            && key.kind == ENTRY_KIND
            && let Ok((inode, _, name)) = directory::decode(value)
            && inodes.contains(&inode)
        {
            names.entry(inode).or_insert_with(|| (InodeNumber(key.object), name.to_vec()));
        }
        if names.len() < inodes.len() { Step::Into } else { Step::Stop }
    });
    names
}
