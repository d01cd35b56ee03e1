//! Reads pages, proves them, and keeps some of them.
//!
//! A page is cached under its place, which never means other bytes: so readers of an old root and a
//! commit in progress do not disturb one another.

use std::sync::Arc;

use crate::account::link::Link;
use crate::account::radix::{Key, Node, Nodes};
use crate::account::slots::SlotPage;
use crate::cache::Cache;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Checksum, DecodeError};
use crate::segment::{Place, Segments};

/// Of the cache's budget, one part in so many is for radix nodes.
const NODE_SHARE: u64 = 8;

/// The segments, and the pages read from them.
pub struct Pages {
    pub segments: Segments,
    nodes: Cache<Place, Arc<Node>>,
    slots: Cache<Place, Arc<SlotPage>>,
}

impl Pages {
    /// Keeps at most `budget` bytes of pages.
    pub fn new(segments: Segments, budget: u64) -> Self {
        let for_nodes = budget / NODE_SHARE;
        Self { segments, nodes: Cache::new(for_nodes), slots: Cache::new(budget - for_nodes) }
    }

    /// The bytes of a page, if they are the ones that `link` names.
    pub fn bytes(&self, link: &Link) -> Result<Vec<u8>> {
        let mut bytes = vec![0; link.place.length as usize];
        self.segments.read(link.place, &mut bytes)?;
        match Checksum::of(&bytes) == link.checksum {
            true => Ok(bytes),
            false => Err(broken(link, DecodeError::Checksum("a page"))),
        }
    }

    /// What a page's bytes mean, if they are the ones that `link` names.
    pub fn decoded<T>(&self, link: &Link, decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>) -> Result<T> {
        decode(&self.bytes(link)?).map_err(|cause| broken(link, cause))
    }

    /// A page of the slot table.
    pub fn slot_page(&self, link: &Link, number: u64) -> Result<Arc<SlotPage>> {
        if let Some(page) = self.slots.get(&link.place) {
            return Ok(page);
        }
        let read = self.decoded(link, |bytes| SlotPage::decode(bytes, number));
        let page = Arc::new(read.map_err(|error| error.during("read a page of the slot table"))?);
        self.keep_slot_page(link, &page);
        Ok(page)
    }

    /// Keeps a page that was written, instead of the one that it replaces.
    pub fn keep_slot_page(&self, link: &Link, page: &Arc<SlotPage>) {
        self.slots.insert(link.place, Arc::clone(page), page.weight());
    }

    /// Keeps a `part`th of the budget at most.
    pub fn shrink(&self, part: u64) {
        self.nodes.shrink(part);
        self.slots.shrink(part);
        self.segments.release_memory();
    }

    /// Keeps a node that was written.
    pub fn keep_node(&self, link: &Link, node: Node) {
        let weight = 64 + node.children.len() as u64 * 64;
        self.nodes.insert(link.place, Arc::new(node), weight);
    }
}

/// Names a page that cannot be used.
fn broken(link: &Link, cause: DecodeError) -> Error {
    let Place { segment, offset, .. } = link.place;
    let what = if cause.kind() == ErrorKind::Corrupt { "is damaged" } else { "cannot be read" };
    Error::because(cause.kind(), format!("the page at {offset} in segment {:010x} {what}", segment.0), cause)
}

impl Nodes for Pages {
    fn node(&self, link: &Link, level: u8, index: u64) -> Result<Arc<Node>> {
        if let Some(node) = self.nodes.get(&link.place) {
            return Ok(node);
        }
        let key: Key = (level, index);
        let node = self.decoded(link, |bytes| Node::decode(bytes, key))?;
        self.keep_node(link, node.clone());
        Ok(Arc::new(node))
    }
}
