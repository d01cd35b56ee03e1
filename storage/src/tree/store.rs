//! What a tree stands on: something that reads nodes, and something that also writes them.
//!
//! Invariant: a node that [`load`] returns is the one its parent meant: of that level, and with that
//! first key. So whoever descends gets one level lower with each step, and ends.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::SlotId;
use crate::tree::{Key, Node, NodePointer, Root};

/// Reads nodes.
pub trait NodeStore: Send + Sync {
    /// The node, verified against its stored checksum, its own id and the pointer's hash ([`Node::decode`]).
    fn read(&self, pointer: &NodePointer) -> Result<Arc<Node>>;
}

/// Reads and writes nodes.
pub trait NodeWriter: NodeStore {
    /// Assigns an id that was never used, and stores the node under it ([`Node::encode`]).
    fn write(&self, node: Arc<Node>) -> Result<SlotId>;
}

/// A place in a tree: a node that may not have been read yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::tree) struct Subtree {
    /// The node on top.
    pub pointer: NodePointer,
    /// Its level.
    pub level: u8,
    /// The first key, where a parent told it; the root has none.
    pub first: Option<Key>,
    /// All keys are below this, where something follows.
    pub upper: Option<Key>,
}

impl Subtree {
    /// The whole tree.
    pub fn whole(root: &Root) -> Option<Self> {
        let pointer = root.pointer?;
        Some(Self { pointer, level: root.height.saturating_sub(1), first: None, upper: None })
    }

    /// The first key, or a bound below it.
    pub fn lower(&self) -> Key {
        self.first.unwrap_or(Key::MIN)
    }

    /// Child `number` of this one, whose node is `node`.
    pub fn child(&self, node: &crate::tree::Interior, number: usize) -> Self {
        Self {
            pointer: node.children[number],
            level: self.level - 1,
            first: Some(node.keys[number]),
            upper: node.upper(number, self.upper),
        }
    }

    /// Reads the node.
    pub fn load(&self, store: &dyn NodeStore) -> Result<Arc<Node>> {
        let node = store.read(&self.pointer)?;
        if node.level() != self.level || self.first.is_some_and(|first| node.keys().first() != Some(&first)) {
            return Err(Error::new(ErrorKind::Corrupt, "a tree node is not the one that its parent describes"));
        }
        Ok(node)
    }
}
