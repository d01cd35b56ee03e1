//! Looks up one tree again and again, at keys that mostly ascend: what lies near the last key is found near the last node.
//!
//! Invariant: what is remembered is a path from the tree's root, each node a child of the one before it.

use std::sync::Arc;

use crate::error::Result;
use crate::tree::store::Subtree;
use crate::tree::{ItemRef, Key, Node, NodeStore, Root};

/// A place in the tree of one root.
pub struct Cursor<'a> {
    store: &'a dyn NodeStore,
    root: Root,
    path: Vec<(Subtree, Arc<Node>)>,
}

impl<'a> Cursor<'a> {
    /// A cursor in the tree of `root`, which is nowhere yet.
    pub fn new(store: &'a dyn NodeStore, root: Root) -> Self {
        Self { store, root, path: Vec::new() }
    }

    /// Calls `found` with the items between `first` and `last`, both included, in order. A run that reaches over an end is
    /// clipped there.
    pub fn scan(&mut self, first: Key, last: Key, found: &mut dyn FnMut(Key, ItemRef<'_>)) -> Result<()> {
        let mut from = first;
        while from <= last {
            self.descend(from)?;
            let Some((subtree, Node::Leaf(leaf))) = self.path.last().map(|(subtree, node)| (subtree, &**node)) else {
                return Ok(());
            };
            for number in leaf.first_reaching(from)..leaf.len() {
                let (key, item) = leaf.item(number);
                let Some((key, part)) = item.clip(key, from, last) else { return Ok(()) };
                found(key, part);
            }
            let Some(upper) = subtree.upper else { return Ok(()) };
            from = upper;
        }
        Ok(())
    }

    /// Goes to the leaf that would hold `key`, from the lowest node of the path that has it below.
    fn descend(&mut self, key: Key) -> Result<()> {
        let has = |subtree: &Subtree| subtree.lower() <= key && subtree.upper.is_none_or(|upper| key < upper);
        while self.path.pop_if(|(subtree, _)| !has(subtree)).is_some() {}
        let mut next = match self.path.last() {
            Some((subtree, node)) => child_for(subtree, node, key),
            None => Subtree::whole(&self.root),
        };
        while let Some(subtree) = next {
            let node = subtree.load(self.store)?;
            next = child_for(&subtree, &node, key);
            self.path.push((subtree, node));
        }
        Ok(())
    }
}

fn child_for(subtree: &Subtree, node: &Node, key: Key) -> Option<Subtree> {
    match node {
        Node::Leaf(_) => None,
        Node::Interior(interior) => Some(subtree.child(interior, interior.child_for(key))),
    }
}
