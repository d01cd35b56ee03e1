//! What differs between two trees, in time proportional to the difference.
//!
//! Invariant: both cursors stand at the first key that is not yet compared. Equal subtrees are skipped
//! unread wherever both cursors stand before one; the cursor with the smaller key moves first and of two
//! subtrees the higher one is opened, so that cursors meet again after a place where the trees' shapes differ.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::Result;
use crate::format::Birth;
use crate::tree::store::Subtree;
use crate::tree::{BlockPointer, ItemRef, Key, Node, NodeStore, Root};

/// What one tree has at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A value.
    Bytes(&'a [u8]),
    /// A block.
    Block(BlockPointer),
}

impl Content<'_> {
    /// Whether the bytes are the same, wherever they are stored.
    fn is_same(&self, other: &Content<'_>) -> bool {
        match (self, other) {
            (Self::Bytes(a), Content::Bytes(b)) => a == b,
            (Self::Block(a), Content::Block(b)) => a.hash == b.hash,
            _ => false,
        }
    }
}

/// One key with different contents; never `None` twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The key of the value or block.
    pub key: Key,
    /// What the old tree has there.
    pub old: Option<Content<'a>>,
    /// What the new tree has there.
    pub new: Option<Content<'a>>,
}

/// Calls `changed` with what differs between two trees, in key order, until it returns false. Blocks are compared
/// by hash: one with equal content stored elsewhere does not differ.
pub fn diff(store: &dyn NodeStore, old: &Root, new: &Root, changed: &mut dyn FnMut(Change<'_>) -> bool) -> Result<()> {
    let (mut old, mut new) = (Cursor::new(store, old), Cursor::new(store, new));
    loop {
        let (a, b) = (old.next, new.next);
        let order = match (a, b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) if a.is_same(&b) => {
                old.pass();
                new.pass();
                continue;
            }
            (Some(a), Some(b)) => a.key().cmp(&b.key()),
        };
        let (level_a, level_b) = (a.and_then(|a| a.level()), b.and_then(|b| b.level()));
        let (open_a, open_b) = match order {
            Ordering::Less => (level_a.is_some(), false),
            Ordering::Greater => (false, level_b.is_some()),
            Ordering::Equal => (level_a.is_some() && level_a >= level_b, level_b.is_some() && level_b >= level_a),
        };
        if open_a {
            old.open()?;
        }
        if open_b {
            new.open()?;
        }
        if !open_a && !open_b && !compare(&mut old, &mut new, order, changed) {
            return Ok(());
        }
    }
}

/// Compares what the cursors stand at, or reports the smaller key's as missing in the other tree. Returns whether to go on.
fn compare(
    old: &mut Cursor<'_>,
    new: &mut Cursor<'_>,
    order: Ordering,
    changed: &mut dyn FnMut(Change<'_>) -> bool,
) -> bool {
    let old_content = if order == Ordering::Greater { None } else { old.content() };
    let new_content = if order == Ordering::Less { None } else { new.content() };
    let same = matches!((&old_content, &new_content), (Some((_, a)), Some((_, b))) if a.is_same(b));
    let key = old_content.as_ref().or(new_content.as_ref()).map_or(Key::MIN, |(key, _)| *key);
    let (has_old, has_new) = (old_content.is_some(), new_content.is_some());
    let change = Change { key, old: old_content.map(|(_, a)| a), new: new_content.map(|(_, b)| b) };
    let go_on = same || changed(change);
    if has_old {
        old.pass();
    }
    if has_new {
        new.pass();
    }
    go_on
}

/// What a cursor stands before.
#[derive(Clone, Copy)]
pub(in crate::tree) enum Next {
    Subtree(Subtree),
    /// A value or block of the leaf on top of the stack.
    Content(Key),
}

impl Next {
    /// The first key of it.
    pub fn key(&self) -> Key {
        match self {
            Self::Subtree(subtree) => subtree.lower(),
            Self::Content(key) => *key,
        }
    }

    fn level(&self) -> Option<u8> {
        match self {
            Self::Subtree(subtree) => Some(subtree.level),
            Self::Content(_) => None,
        }
    }

    /// Whether both are subtrees with the same content.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Subtree(a), Self::Subtree(b)) => {
                a.level == b.level && (a.pointer.id == b.pointer.id || a.pointer.hash == b.pointer.hash)
            }
            _ => false,
        }
    }
}

/// Goes through a tree in key order, and into a subtree only when told.
pub(in crate::tree) struct Cursor<'a> {
    pub store: &'a dyn NodeStore,
    /// The nodes on the way, each with the place of the entry that the cursor stands at or is in.
    stack: Vec<Frame>,
    pub next: Option<Next>,
}

struct Frame {
    subtree: Subtree,
    node: Arc<Node>,
    entry: usize,
    /// Blocks of the entry (a run) that are passed.
    blocks: usize,
}

impl<'a> Cursor<'a> {
    /// Stands before the whole tree.
    pub fn new(store: &'a dyn NodeStore, root: &Root) -> Self {
        Self { store, stack: Vec::new(), next: Subtree::whole(root).map(Next::Subtree) }
    }

    /// Goes into the subtree that the cursor stands before.
    pub fn open(&mut self) -> Result<()> {
        if let Some(Next::Subtree(subtree)) = self.next {
            let node = subtree.load(self.store)?;
            self.stack.push(Frame { subtree, node, entry: 0, blocks: 0 });
            self.next = self.stack.last().and_then(Frame::next);
        }
        Ok(())
    }

    /// Passes the subtree, value or block that the cursor stands before.
    pub fn pass(&mut self) {
        self.next = None;
        while let Some(frame) = self.stack.last_mut() {
            frame.advance();
            self.next = frame.next();
            if self.next.is_some() {
                return;
            }
            self.stack.pop();
        }
    }

    /// Passes all of the item of which the cursor stands before a value or block.
    pub fn pass_item(&mut self) {
        let positions = self.item().map_or(1, |(_, item)| item.positions());
        if let Some(frame) = self.stack.last_mut().filter(|_| positions > 1) {
            frame.blocks = positions as usize - 1;
        }
        self.pass();
    }

    /// The item of which the cursor stands before a value or block.
    pub fn item(&self) -> Option<(Key, ItemRef<'_>)> {
        let frame = self.stack.last().filter(|_| matches!(self.next, Some(Next::Content(_))))?;
        if let Node::Leaf(leaf) = &*frame.node { Some(leaf.item(frame.entry)) } else { None }
    }

    /// When the node was born that what the cursor stands before is in.
    pub fn parent_birth(&self) -> Option<Birth> {
        self.stack.last().map(|frame| frame.subtree.pointer.birth)
    }

    /// What the cursor stands before, unless that is a subtree.
    pub fn content(&self) -> Option<(Key, Content<'_>)> {
        let frame = self.stack.last()?;
        let Node::Leaf(leaf) = &*frame.node else { return None };
        let (key, item) = leaf.item(frame.entry);
        Some(match item {
            ItemRef::Bytes(value) => (key, Content::Bytes(value)),
            ItemRef::Run(run) => (key.plus(frame.blocks as u64), Content::Block(run.block(frame.blocks))),
        })
    }
}

impl Frame {
    fn next(&self) -> Option<Next> {
        let key = *self.node.keys().get(self.entry)?;
        Some(match &*self.node {
            Node::Leaf(_) => Next::Content(key.plus(self.blocks as u64)),
            Node::Interior(node) => Next::Subtree(self.subtree.child(node, self.entry)),
        })
    }

    fn advance(&mut self) {
        if let Node::Leaf(leaf) = &*self.node
            && leaf.item(self.entry).1.positions() > self.blocks as u64 + 1
        {
            self.blocks += 1;
            return;
        }
        self.entry += 1;
        self.blocks = 0;
    }
}
