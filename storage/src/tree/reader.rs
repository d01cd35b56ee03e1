//! Looks things up in one tree.
//!
//! Invariant: a reader sees the tree of its root, whatever is written meanwhile, for nodes never change.

use std::ops::Range;

use crate::error::Result;
use crate::tree::store::Subtree;
use crate::tree::{BlockPointer, ItemRef, Key, Node, NodeStore, Root, RunRef};

/// Reads the tree of one root.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    store: &'a dyn NodeStore,
    root: Root,
}

impl<'a> Reader<'a> {
    /// A reader of the tree of `root`.
    pub fn new(store: &'a dyn NodeStore, root: Root) -> Self {
        Self { store, root }
    }

    /// The bytes at `key`; `None` where nothing or a block is.
    pub fn get(&self, key: Key) -> Result<Option<Vec<u8>>> {
        self.with_item(key, |item| match item {
            ItemRef::Bytes(value) => Some(value.to_vec()),
            ItemRef::Run(_) => None,
        })
    }

    /// The block at exactly `key`; `None` where nothing or bytes are.
    pub fn block_at(&self, key: Key) -> Result<Option<BlockPointer>> {
        self.with_item(key, |item| match item {
            ItemRef::Bytes(_) => None,
            ItemRef::Run(run) => Some(run.block(0)),
        })
    }

    /// Calls `found` with the runs of an object's kind that reach into `positions`, clipped to them, in order, each with
    /// the position of its first block, until it returns false. Costs one descent and a step a leaf.
    pub fn runs(
        &self,
        object: u64,
        kind: u8,
        positions: Range<u64>,
        found: &mut dyn FnMut(u64, RunRef<'_>) -> bool,
    ) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let (first, last) = (Key::new(object, kind, positions.start), Key::new(object, kind, positions.end - 1));
        self.scan(first, last, &mut |key, item| match item {
            ItemRef::Bytes(_) => true,
            ItemRef::Run(run) => found(key.position, run),
        })
    }

    /// The blocks at `positions` of an object's kind, one entry a position; `None` where no block is.
    pub fn blocks(&self, object: u64, kind: u8, positions: Range<u64>) -> Result<Vec<Option<BlockPointer>>> {
        let mut blocks = vec![None; positions.end.saturating_sub(positions.start) as usize];
        self.runs(object, kind, positions.clone(), &mut |position, run| {
            for number in 0..run.hashes.len() {
                blocks[(position - positions.start) as usize + number] = Some(run.block(number));
            }
            true
        })?;
        Ok(blocks)
    }

    /// Calls `found` with the items between `first` and `last`, both included, in order, until it returns false. A run that
    /// reaches over an end is clipped there.
    pub fn scan(&self, first: Key, last: Key, found: &mut dyn FnMut(Key, ItemRef<'_>) -> bool) -> Result<()> {
        if let Some(top) = Subtree::whole(&self.root).filter(|_| first <= last) {
            self.scan_subtree(&top, first, last, found)?;
        }
        Ok(())
    }

    /// Returns whether to go on.
    fn scan_subtree(
        &self,
        subtree: &Subtree,
        first: Key,
        last: Key,
        found: &mut dyn FnMut(Key, ItemRef<'_>) -> bool,
    ) -> Result<bool> {
        match &*subtree.load(self.store)? {
            Node::Leaf(leaf) => {
                for number in leaf.first_reaching(first)..leaf.len() {
                    let (key, item) = leaf.item(number);
                    let Some((key, part)) = item.clip(key, first, last) else { return Ok(false) };
                    if !found(key, part) {
                        return Ok(false);
                    }
                }
            }
            Node::Interior(node) => {
                for number in node.child_for(first)..node.keys.len() {
                    if node.keys[number] > last
                        || !self.scan_subtree(&subtree.child(node, number), first, last, found)?
                    {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Descends to the item that covers `key`, clipped to it.
    fn with_item<T>(&self, key: Key, look: impl FnOnce(ItemRef<'_>) -> Option<T>) -> Result<Option<T>> {
        let Some(mut subtree) = Subtree::whole(&self.root) else { return Ok(None) };
        loop {
            match &*subtree.load(self.store)? {
                Node::Interior(node) => subtree = subtree.child(node, node.child_for(key)),
                Node::Leaf(leaf) => {
                    let number = leaf.first_reaching(key);
                    let item = (number < leaf.len()).then(|| leaf.item(number));
                    return Ok(item
                        .and_then(|(first, item)| item.clip(first, key, key))
                        .and_then(|(_, item)| look(item)));
                }
            }
        }
    }
}
