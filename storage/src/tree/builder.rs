//! Builds a tree from left to right, out of new items and of subtrees kept from an old one.
//!
//! Invariant: a level's buffer is emptied only when a kept subtree follows or at the end. It is never
//! less than a quarter full then: it takes in its left neighbour, or where it has none, opens what
//! follows; but damaged neighbours are left as they are, for a small node is better than none. After a full node left a buffer, at least another one's worth stays, so a left neighbour that
//! is taken in is always an old node and never one just written.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::format::Birth;
use crate::tree::buffer::{CAPACITY, WEIGHT_MIN};
use crate::tree::codec::{CHILD_LENGTH, HASH_LENGTH};
use crate::tree::store::Subtree;
use crate::tree::{Dead, ItemRef, Key, Leaf, Node, NodePointer, NodeWriter, Root};

/// The tree so far: of each level, what is not yet in a node.
pub struct Builder<'a> {
    writer: &'a dyn NodeWriter,
    birth: Birth,
    levels: Vec<Buffer>,
    dead: &'a mut Vec<Dead>,
}

/// What a level collects.
struct Buffer {
    node: Node,
    weight: usize,
    /// At this weight it is worth looking for a full node to write.
    look_at: usize,
}

impl Buffer {
    fn new(level: usize) -> Self {
        Self { node: Node::empty(level as u8), weight: 0, look_at: 2 * CAPACITY }
    }

    fn is_empty(&self) -> bool {
        self.node.keys().is_empty()
    }

    fn is_underfull(&self) -> bool {
        !self.is_empty() && self.weight < WEIGHT_MIN
    }

    fn replace(&mut self, node: Node) {
        self.weight = node.weight();
        self.node = node;
    }
}

impl<'a> Builder<'a> {
    /// An empty tree, whose nodes will have this birth. Old nodes that are not kept go to `dead`.
    pub fn new(writer: &'a dyn NodeWriter, birth: Birth, dead: &'a mut Vec<Dead>) -> Self {
        Self { writer, birth, levels: Vec::new(), dead }
    }

    /// Reports a pointer that the new tree does not have.
    pub fn bury(&mut self, dead: Dead) {
        self.dead.push(dead);
    }

    /// Reads an old node that the new tree will not have.
    pub fn open(&mut self, subtree: &Subtree) -> Result<Arc<Node>> {
        let node = subtree.load(self.writer)?;
        self.bury(subtree.pointer.dead());
        Ok(node)
    }

    /// Appends an item.
    pub fn push(&mut self, key: Key, item: ItemRef<'_>) -> Result<()> {
        let buffer = self.level(0);
        if let Node::Leaf(leaf) = &mut buffer.node {
            let before = leaf.len();
            leaf.push(key, item);
            buffer.weight += match leaf.len() - before {
                // A run that joined the one before it adds its hashes only.
                0 => HASH_LENGTH * item.positions() as usize,
                _ => buffer.node.entry_weight(before),
            };
        }
        self.relieve(0)
    }

    /// Appends items of an old leaf.
    pub fn push_all(&mut self, leaf: &Leaf, mut numbers: Range<usize>) -> Result<()> {
        // The first may join the run before it; the others did not join one another when their leaf was made.
        if let Some(first) = numbers.next() {
            let (key, item) = leaf.item(first);
            self.push(key, item)?;
        }
        let buffer = self.level(0);
        if let Node::Leaf(collected) = &mut buffer.node {
            let before = collected.len();
            collected.extend_from(leaf, numbers);
            buffer.weight += (before..collected.len()).map(|number| buffer.node.entry_weight(number)).sum::<usize>();
        }
        self.relieve(0)
    }

    /// Appends an old subtree as it is, or opened where its left neighbour is too small to stand alone.
    pub fn keep(&mut self, subtree: &Subtree) -> Result<()> {
        for level in 0..=usize::from(subtree.level) {
            if self.level(level).is_underfull()
                && !self.absorb_left(level)?
                && let Some(node) = self.open_unless_damaged(subtree)?
            {
                return self.keep_opened(subtree, &node);
            }
            self.flush(level, false)?;
        }
        self.keep_closed(subtree)
    }

    fn keep_closed(&mut self, subtree: &Subtree) -> Result<()> {
        self.push_child(usize::from(subtree.level) + 1, subtree.lower(), subtree.pointer)
    }

    fn keep_opened(&mut self, subtree: &Subtree, node: &Node) -> Result<()> {
        match node {
            Node::Leaf(leaf) => self.push_all(leaf, 0..leaf.len()),
            Node::Interior(node) => (0..node.keys.len()).try_for_each(|number| self.keep(&subtree.child(node, number))),
        }
    }

    /// Like [`Builder::open`], for a node that is only wanted because it lies beside one that changes.
    fn open_unless_damaged(&mut self, subtree: &Subtree) -> Result<Option<Arc<Node>>> {
        unless_damaged(self.open(subtree))
    }

    /// Writes what is left, and returns the new root.
    pub fn finish(mut self) -> Result<Root> {
        let mut level = 0;
        let mut written = 0;
        loop {
            let is_top = self.levels.iter().skip(level + 1).all(Buffer::is_empty);
            let entries = self.level(level).node.keys().len();
            if is_top && level == 0 && entries == 0 {
                return Ok(Root::EMPTY);
            }
            if is_top && level > 0 && entries == 1 {
                let child = self.pop(level)?.expect("there is one entry");
                let root = Root { pointer: Some(child.pointer), height: level as u8 };
                return if written == 1 { Ok(root) } else { self.collapse(root) };
            }
            written = self.flush(level, true)?;
            level += 1;
        }
    }

    /// Takes nodes with a single child off the top of a tree.
    fn collapse(&mut self, mut root: Root) -> Result<Root> {
        while let Some(top) = Subtree::whole(&root) {
            let Some(node) = unless_damaged(top.load(self.writer))? else { break };
            match &*node {
                Node::Interior(node) if node.keys.len() == 1 => {
                    self.bury(top.pointer.dead());
                    root = Root { pointer: Some(node.children[0]), height: root.height - 1 };
                }
                _ => break,
            }
        }
        Ok(root)
    }

    fn level(&mut self, level: usize) -> &mut Buffer {
        while self.levels.len() <= level {
            self.levels.push(Buffer::new(self.levels.len()));
        }
        &mut self.levels[level]
    }

    fn push_child(&mut self, level: usize, key: Key, pointer: NodePointer) -> Result<()> {
        let buffer = self.level(level);
        if let Node::Interior(node) = &mut buffer.node {
            node.keys.push(key);
            node.children.push(pointer);
            buffer.weight += Key::LENGTH + CHILD_LENGTH;
        }
        self.relieve(level)
    }

    /// Writes the full nodes that a buffer holds beyond one, so that its size is bounded.
    fn relieve(&mut self, level: usize) -> Result<()> {
        while self.levels[level].weight >= self.levels[level].look_at {
            let buffer = &mut self.levels[level];
            let Some(count) = buffer.node.surplus(buffer.weight) else {
                buffer.look_at = buffer.weight + CAPACITY / 2;
                return Ok(());
            };
            buffer.look_at = 2 * CAPACITY;
            self.write_front(level, count)?;
        }
        Ok(())
    }

    /// Writes all that a buffer holds, and returns how many nodes that made.
    fn flush(&mut self, level: usize, at_end: bool) -> Result<usize> {
        let cuts = self.level(level).node.cuts(at_end);
        cuts.iter().try_for_each(|count| self.write_front(level, *count))?;
        Ok(cuts.len())
    }

    fn write_front(&mut self, level: usize, count: usize) -> Result<()> {
        let buffer = &mut self.levels[level];
        let node = buffer.node.take_front(count);
        buffer.weight -= node.weight();
        let (key, hash) = (node.keys()[0], node.logical_hash());
        let id = self.writer.write(Arc::new(node))?;
        self.push_child(level + 1, key, NodePointer { id, hash, birth: self.birth })
    }

    /// Takes the old nodes to the left into a buffer until it is not underfull. Returns false if there are none, or the
    /// next is damaged.
    fn absorb_left(&mut self, level: usize) -> Result<bool> {
        while self.level(level).is_underfull() {
            let Some(left) = self.pop(level + 1)? else { return Ok(false) };
            let Some(node) = self.open_unless_damaged(&left)? else {
                self.keep_closed(&left)?;
                return Ok(false);
            };
            let mut node = Node::clone(&node);
            let buffer = self.level(level);
            node.append(&buffer.node);
            buffer.replace(node);
        }
        Ok(true)
    }

    /// Takes back the last child of `level`, out of an old node where the buffer is empty.
    fn pop(&mut self, level: usize) -> Result<Option<Subtree>> {
        if level >= self.levels.len() {
            return Ok(None);
        }
        if self.levels[level].is_empty() {
            let Some(left) = self.pop(level + 1)? else { return Ok(None) };
            let Some(node) = self.open_unless_damaged(&left)? else {
                self.keep_closed(&left)?;
                return Ok(None);
            };
            self.levels[level].replace(Node::clone(&node));
        }
        let buffer = &mut self.levels[level];
        let Node::Interior(node) = &mut buffer.node else { return Ok(None) };
        let (Some(key), Some(pointer)) = (node.keys.pop(), node.children.pop()) else { return Ok(None) };
        buffer.weight -= Key::LENGTH + CHILD_LENGTH;
        Ok(Some(Subtree { pointer, level: level as u8 - 1, first: Some(key), upper: None }))
    }
}

fn unless_damaged<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        other => other.map(Some),
    }
}
