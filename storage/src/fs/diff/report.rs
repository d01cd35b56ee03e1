//! What there is to tell, by path.
//!
//! Paths of both sides are in one tree of names, so that none is kept whole: directories can be deep.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::Result;
use crate::format::InodeNumber;
use crate::fs::diff::{Comparison, Difference, DifferenceKind, Side};
use crate::fs::paths::{climb, name_at};

const ROOT: usize = 0;

/// Names, and what there is to tell of them.
pub(super) struct Report<'a> {
    comparison: &'a Comparison<'a>,
    nodes: Vec<Node>,
    directories: HashMap<(Side, InodeNumber), usize>,
}

#[derive(Default)]
struct Node {
    above: usize,
    name: Arc<[u8]>,
    below: BTreeMap<Arc<[u8]>, usize>,
    told: Vec<Told>,
}

/// What there is to tell of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub kind: DifferenceKind,
    /// The node that it was at.
    pub from: Option<usize>,
    pub bytes: u64,
}

impl<'a> Report<'a> {
    pub fn new(comparison: &'a Comparison<'a>) -> Self {
        Self { comparison, nodes: vec![Node::default()], directories: HashMap::new() }
    }

    /// The node of a name in a directory of one side.
    pub fn node(&mut self, side: Side, directory: InodeNumber, name: &[u8]) -> Result<usize> {
        let (items, mut chain, mut above) = (self.comparison.side(side), Vec::new(), ROOT);
        climb(items, directory, &mut |directory| {
            let known = self.directories.get(&(side, directory.number));
            match known {
                Some(known) => above = *known,
                None => chain.push((directory.number, name_at(items, directory.home)?)),
            }
            Ok(known.is_none())
        })?;
        for (directory, name) in chain.into_iter().rev() {
            above = self.below(above, &name);
            self.directories.insert((side, directory), above);
        }
        Ok(self.below(above, name))
    }

    fn below(&mut self, above: usize, name: &[u8]) -> usize {
        if let Some(found) = self.nodes[above].below.get(name) {
            return *found;
        }
        let (node, name) = (self.nodes.len(), Arc::<[u8]>::from(name));
        self.nodes[above].below.insert(Arc::clone(&name), node);
        self.nodes.push(Node { above, name, ..Node::default() });
        node
    }

    pub fn tell_of(&mut self, node: usize, told: Told) {
        self.nodes[node].told.push(told);
    }

    pub fn tell_of_root(&mut self, told: Told) {
        self.tell_of(ROOT, told);
    }

    /// Tells everything in the order of paths, until `found` returns false. A directory comes before what is in it, and
    /// at one path what was removed before all else.
    pub fn tell(&self, found: &mut dyn FnMut(Difference) -> bool) {
        let mut path = Vec::new();
        if !self.tell_node(&self.nodes[ROOT], b"/", found) {
            return;
        }
        let mut stack = vec![(0, self.nodes[ROOT].below.values())];
        while let Some((length, below)) = stack.last_mut() {
            path.truncate(*length);
            let Some(next) = below.next() else {
                stack.pop();
                continue;
            };
            let node = &self.nodes[*next];
            path.push(b'/');
            path.extend_from_slice(&node.name);
            if !self.tell_node(node, &path, found) {
                return;
            }
            stack.push((path.len(), node.below.values()));
        }
    }

    fn tell_node(&self, node: &Node, path: &[u8], found: &mut dyn FnMut(Difference) -> bool) -> bool {
        let mut told = node.told.clone();
        told.sort_by_key(|told| told.kind != DifferenceKind::Removed);
        told.iter().all(|told| {
            let from = told.from.map(|from| self.path(from));
            found(Difference { kind: told.kind, path: path.to_vec(), from, changed_bytes: told.bytes })
        })
    }

    fn path(&self, node: usize) -> Vec<u8> {
        let names = std::iter::successors(Some(node), |node| Some(self.nodes[*node].above));
        let names: Vec<&[u8]> = names.take_while(|node| *node != ROOT).map(|node| &*self.nodes[node].name).collect();
        names.iter().rev().flat_map(|name| [b"/".as_slice(), name]).collect::<Vec<_>>().concat()
    }
}
