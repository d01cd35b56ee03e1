//! A radix tree of pages, 64 at each branch: finds a page by number, and replaces pages.
//!
//! Invariant: a node is never changed; replacing a page writes new nodes on its path. Level 0 are the
//! pages; a node of level `n` and index `i` covers the 64^n pages from `i * 64^n` on.

mod codec;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::link::Link;
use crate::error::{Error, Result};

/// Page numbers have 48 bits.
const HEIGHT_MAX: u8 = 8;
const BITS: u8 = 6;

/// A branch of up to 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub children: BTreeMap<u8, Link>,
}

impl Node {
    /// The children of the node `key` with their keys, in order.
    pub fn below(&self, (level, index): Key) -> impl DoubleEndedIterator<Item = (Key, Link)> + '_ {
        self.children.iter().map(move |(child, link)| ((level - 1, index << BITS | u64::from(*child)), *link))
    }
}

/// Reads nodes.
pub trait Nodes {
    /// The node that `link` leads to.
    fn node(&self, link: &Link, level: u8, index: u64) -> Result<Arc<Node>>;
}

/// The root of a tree: the link to the node of level `height` and index 0, or an empty tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Root {
    pub height: u8,
    pub link: Option<Link>,
}

/// A node or page: its level and its number there.
pub type Key = (u8, u64);

fn covered(page: u64, height: u8) -> bool {
    height > 0 && page >> (BITS * height) == 0
}

fn parent_of((level, number): Key) -> (Key, u8) {
    ((level + 1, number >> BITS), (number & 63) as u8)
}

impl Root {
    /// The link to a page.
    pub fn find(&self, nodes: &dyn Nodes, page: u64) -> Result<Option<Link>> {
        let Some(mut link) = self.link.filter(|_| covered(page, self.height)) else { return Ok(None) };
        for level in (1..=self.height).rev() {
            let node = nodes.node(&link, level, page >> (BITS * level))?;
            let child = (page >> (BITS * (level - 1)) & 63) as u8;
            match node.children.get(&child) {
                Some(next) => link = *next,
                None => return Ok(None),
            }
        }
        Ok(Some(link))
    }

    /// Calls `found` with every node and page, parents first, pages in order.
    pub fn walk(&self, nodes: &dyn Nodes, found: &mut dyn FnMut(Key, &Link) -> Result<()>) -> Result<()> {
        match &self.link {
            Some(link) => walk((self.height, 0), link, nodes, found),
            None => Ok(()),
        }
    }
}

/// Calls `found` with every node and page of the tree of `root`, like [`Root::walk`], and `lost` with each node that cannot
/// be read: what that leads to is not visited.
pub fn walk_all(root: &Root, nodes: &dyn Nodes, found: &mut dyn FnMut(Key, &Link), lost: &mut dyn FnMut(Key, Error)) {
    let mut all = |key, step: Result<&Link>| {
        match step {
            Ok(link) => found(key, link),
            Err(error) => lost(key, error),
        }
        true
    };
    walk_from(0, root, nodes, &mut all);
}

/// Calls `visit` with every node and page of the tree of `root` that leads to `page` or one behind it, and once more with a
/// node that cannot be read, until it returns false. Returns whether it came to the end.
pub fn walk_from(page: u64, root: &Root, nodes: &dyn Nodes, visit: &mut dyn FnMut(Key, Result<&Link>) -> bool) -> bool {
    let mut below: Vec<(Key, Link)> = root.link.iter().map(|link| ((root.height, 0), *link)).collect();
    while let Some((key, link)) = below.pop() {
        if pages_below(key).1 < page {
            continue;
        }
        if !visit(key, Ok(&link)) {
            return false;
        }
        if key.0 == 0 {
            continue;
        }
        match nodes.node(&link, key.0, key.1) {
            // The last is taken out first: so they are put in backwards.
            Ok(node) => below.extend(node.below(key).rev()),
            Err(error) => {
                if !visit(key, Err(error)) {
                    return false;
                }
            }
        }
    }
    true
}

/// The pages that a node covers, as first and last number.
pub fn pages_below((level, number): Key) -> (u64, u64) {
    let shift = u32::from(BITS) * u32::from(level);
    (number << shift, (number << shift) + ((1 << shift) - 1))
}

fn walk(key: Key, link: &Link, nodes: &dyn Nodes, found: &mut dyn FnMut(Key, &Link) -> Result<()>) -> Result<()> {
    found(key, link)?;
    if key.0 == 0 {
        return Ok(());
    }
    let node = nodes.node(link, key.0, key.1)?;
    node.below(key).try_for_each(|(key, link)| walk(key, &link, nodes, found))
}

/// All nodes of a tree, in memory: for who must not read while it replaces pages.
#[derive(Default)]
pub struct Held(BTreeMap<Key, Arc<Node>>);

impl Held {
    /// Reads them.
    pub fn of(nodes: &dyn Nodes, root: Root) -> Result<Self> {
        let mut held = Self::default();
        let mut waiting: Vec<(Key, Link)> = root.link.map(|link| ((root.height, 0), link)).into_iter().collect();
        while let Some((key, link)) = waiting.pop() {
            let node = nodes.node(&link, key.0, key.1)?;
            if key.0 > 1 {
                waiting.extend(node.below(key));
            }
            held.0.insert(key, node);
        }
        Ok(held)
    }
}

impl Nodes for Held {
    fn node(&self, _link: &Link, level: u8, index: u64) -> Result<Arc<Node>> {
        Ok(Arc::clone(&self.0[&(level, index)]))
    }
}

/// The nodes that replacing some pages makes anew.
pub struct Branches<'a> {
    nodes: &'a dyn Nodes,
    old: Root,
    height: u8,
    map: BTreeMap<Key, Node>,
}

impl<'a> Branches<'a> {
    /// Nothing replaced yet.
    pub fn new(nodes: &'a dyn Nodes, old: Root) -> Self {
        Self { nodes, old, height: old.height, map: BTreeMap::new() }
    }

    /// Adds the path to a page. Returns the nodes that this adds, each with what it replaces.
    pub fn ensure(&mut self, page: u64) -> Result<Vec<(Key, Option<Link>)>> {
        let mut added = Vec::new();
        while !covered(page, self.height) {
            self.grow(&mut added);
        }
        for level in (1..=self.height).rev() {
            let key = (level, page >> (BITS * level));
            if self.map.contains_key(&key) {
                continue;
            }
            let old = match level == self.height {
                true => self.old.link.filter(|_| self.height == self.old.height),
                false => self.link(key),
            };
            let node = match &old {
                Some(link) => Node::clone(&*self.nodes.node(link, key.0, key.1)?),
                None => Node::default(),
            };
            self.map.insert(key, node);
            added.push((key, old));
        }
        Ok(added)
    }

    /// Puts a new root over the tree.
    fn grow(&mut self, added: &mut Vec<(Key, Option<Link>)>) {
        assert!(self.height < HEIGHT_MAX, "page numbers have 48 bits");
        self.height += 1;
        if self.old.link.is_none() && self.map.is_empty() {
            return;
        }
        let below = self.old.link.filter(|_| self.height - 1 == self.old.height);
        let node = Node { children: below.map(|link| (0, link)).into_iter().collect() };
        let key = (self.height, 0);
        self.map.insert(key, node);
        added.push((key, None));
    }

    /// The link to a page or node whose parent was ensured.
    pub fn link(&self, key: Key) -> Option<Link> {
        let (parent, child) = parent_of(key);
        self.map[&parent].children.get(&child).copied()
    }

    /// Replaces a page or node whose parent was ensured.
    pub fn set(&mut self, key: Key, link: Option<Link>) {
        let (parent, child) = parent_of(key);
        let children = &mut self.map.get_mut(&parent).expect("the path was ensured").children;
        match link {
            Some(link) => children.insert(child, link),
            None => children.remove(&child),
        };
    }

    /// Writes the nodes, children first. `write` returns no link for a node that is to go away.
    pub fn finish(mut self, mut write: impl FnMut(Key, Node) -> Result<Option<Link>>) -> Result<Root> {
        let mut root = self.old.link;
        while let Some((key, node)) = self.map.pop_first() {
            let link = write(key, node)?;
            match key.0 == self.height {
                true => root = link,
                false => self.set(key, link),
            }
        }
        Ok(root.map_or(Root::default(), |link| Root { height: self.height, link: Some(link) }))
    }
}
