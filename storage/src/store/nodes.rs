//! Nodes: read through the cache, and written for a commit.
//!
//! Invariant: a cached node is what its id names for ever, so it needs no second proof: a pointer comes out of
//! a node that was proven, or from a superblock.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{Birth, SlotId};
use crate::store::Store;
use crate::tree::{Node, NodePointer, NodeStore, NodeWriter};

impl Store {
    /// Reads a node from the disk, whether it is cached or not: to verify what is stored.
    pub fn read_stored_node(&self, pointer: &NodePointer) -> Result<Node> {
        let read = || -> Result<_> {
            let bytes = self.account.read_node(pointer.id)?;
            Ok(Node::decode(&bytes, pointer.id, &pointer.hash))
        };
        // Twice: it may have been moved between looking it up and reading it.
        let node = match read()? {
            Ok(node) => return Ok(node),
            Err(_) => read()?,
        };
        node.map_err(|cause| Error::because(cause.kind(), format!("read the node {:?}", pointer.id), cause))
    }

    fn keep_node(&self, id: SlotId, node: &Arc<Node>) {
        self.nodes.insert(id, Arc::clone(node), node.memory_size() as u64);
    }
}

impl NodeStore for Store {
    fn read(&self, pointer: &NodePointer) -> Result<Arc<Node>> {
        if let Some(node) = self.nodes.get(&pointer.id) {
            return Ok(node);
        }
        let node = Arc::new(self.read_stored_node(pointer)?);
        self.keep_node(pointer.id, &node);
        Ok(node)
    }
}

/// Writes nodes for one commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitWriter<'a> {
    store: &'a Store,
    birth: Birth,
}

impl<'a> CommitWriter<'a> {
    /// A writer for the commit `birth`.
    pub fn new(store: &'a Store, birth: Birth) -> Self {
        Self { store, birth }
    }
}

impl NodeStore for CommitWriter<'_> {
    fn read(&self, pointer: &NodePointer) -> Result<Arc<Node>> {
        self.store.read(pointer)
    }
}

impl NodeWriter for CommitWriter<'_> {
    fn write(&self, node: Arc<Node>) -> Result<SlotId> {
        let id = self.store.account.append_node(self.birth, |id| node.encode(id))?;
        self.store.keep_node(id, &node);
        Ok(id)
    }
}
