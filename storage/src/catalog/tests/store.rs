//! Nodes in memory, which cannot be read once they are freed, and sets of pointers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{SegmentId, SlotId};
use crate::sync::Mutex;
use crate::tree::*;

/// Nodes in memory.
#[derive(Default)]
pub struct Store {
    nodes: Mutex<(u32, HashMap<SlotId, Arc<Node>>)>,
    damaged: Mutex<HashSet<SlotId>>,
}

impl Clone for Store {
    fn clone(&self) -> Self {
        let (nodes, damaged) = (Mutex::new(self.nodes.lock().clone()), Mutex::new(self.damaged.lock().clone()));
        Self { nodes, damaged }
    }
}

impl Store {
    pub fn lose(&self, id: SlotId) {
        self.nodes.lock().1.remove(&id).expect("a node is freed once");
    }

    /// From now on a node cannot be read.
    pub fn damage(&self, id: SlotId) {
        self.damaged.lock().insert(id);
    }

    /// How many nodes were ever written.
    pub fn mark(&self) -> u32 {
        self.nodes.lock().0
    }

    /// Forgets what was written after a mark.
    pub fn forget_after(&self, mark: u32) {
        self.nodes.lock().1.retain(|id, _| id.slot() <= mark);
    }

    pub fn count(&self) -> usize {
        self.nodes.lock().1.len()
    }
}

impl NodeStore for Store {
    fn read(&self, pointer: &NodePointer) -> Result<Arc<Node>> {
        if self.damaged.lock().contains(&pointer.id) {
            return Err(Error::new(ErrorKind::Corrupt, "a damaged node is read"));
        }
        let nodes = self.nodes.lock();
        nodes.1.get(&pointer.id).cloned().ok_or(Error::new(ErrorKind::Corrupt, "a freed node is read"))
    }
}

impl NodeWriter for Store {
    fn write(&self, node: Arc<Node>) -> Result<SlotId> {
        let mut nodes = self.nodes.lock();
        nodes.0 += 1;
        let id = SlotId::new(SegmentId(7), nodes.0);
        nodes.1.insert(id, node);
        Ok(id)
    }
}

/// How often each pointer is there: blocks one by one.
pub type Pointers = BTreeMap<Dead, i64>;

pub fn count(pointers: &mut Pointers, dead: &Dead, change: i64) {
    for index in dead.first..dead.first + dead.count {
        let pointer = Dead { first: index, count: 1, ..*dead };
        let entry = pointers.entry(pointer).or_default();
        *entry += change;
        assert!(*entry >= 0, "{pointer:?} is freed once too often");
        if *entry == 0 {
            pointers.remove(&pointer);
        }
    }
}

/// Every pointer of a tree.
pub fn pointers(store: &Store, root: &Root) -> Pointers {
    let mut all = Pointers::new();
    walk_all(store, root, &mut |visited| {
        match visited {
            Visited::Node { pointer, .. } => count(&mut all, &pointer.dead(), 1),
            Visited::Item(_, ItemRef::Run(run)) => count(&mut all, &run.dead(), 1),
            Visited::Item(..) => {}
            Visited::Damage { error, .. } => panic!("{error:?}"),
        }
        Step::Into
    });
    all
}

/// The sum of all pointers of both, by the larger number.
pub fn unite(pointers: &mut Pointers, more: &Pointers) {
    for (pointer, number) in more {
        let entry = pointers.entry(*pointer).or_default();
        *entry = (*entry).max(*number);
    }
}

/// A small generator of pseudo-random numbers (splitmix64).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len() as u64) as usize]) }
    }
}
