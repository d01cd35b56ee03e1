//! Random histories against a map of values and single blocks, and what they need.

mod codec;
mod damage;
mod diff;
mod history;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, BlockHash, SegmentId, SlotId};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::tree::buffer::WEIGHT_MIN;
use crate::tree::*;

/// Nodes in memory, each encoded and decoded once.
#[derive(Default)]
struct Store {
    nodes: Mutex<HashMap<SlotId, Arc<Node>>>,
    reads: AtomicU64,
    damaged: Option<SlotId>,
}

impl NodeStore for Store {
    fn read(&self, pointer: &NodePointer) -> Result<Arc<Node>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let nodes = self.nodes.lock();
        let found = nodes.get(&pointer.id).filter(|_| self.damaged != Some(pointer.id));
        found.cloned().ok_or(Error::new(ErrorKind::Corrupt, "lost"))
    }
}

impl NodeWriter for Store {
    fn write(&self, node: Arc<Node>) -> Result<SlotId> {
        let mut nodes = self.nodes.lock();
        let id = SlotId::new(SegmentId(7), nodes.len() as u32);
        let decoded = Node::decode(&node.encode(id), id, &node.logical_hash())?;
        assert_eq!(decoded, *node);
        nodes.insert(id, Arc::new(decoded));
        Ok(id)
    }
}

/// A small generator of pseudo-random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    Bytes(Vec<u8>),
    Block(BlockPointer),
}

impl From<Content<'_>> for Cell {
    fn from(content: Content<'_>) -> Self {
        match content {
            Content::Bytes(value) => Self::Bytes(value.to_vec()),
            Content::Block(block) => Self::Block(block),
        }
    }
}

type Model = BTreeMap<Key, Cell>;

/// Does to the model what a batch does to a tree.
fn edit_model(model: &mut Model, edits: &[Edit]) {
    for edit in edits {
        let (first, last) = match edit {
            Edit::Delete(key) => (*key, *key),
            Edit::DeleteRange(first, last) if first <= last => (*first, *last),
            _ => continue,
        };
        let gone: Vec<Key> = model.range(first..=last).map(|(key, _)| *key).collect();
        gone.iter().for_each(|key| drop(model.remove(key)));
    }
    for edit in edits {
        match edit {
            Edit::Put(key, value) => drop(model.insert(*key, Cell::Bytes(value.clone()))),
            Edit::Run(key, run) => (0..run.hashes.len()).for_each(|number| {
                model.insert(key.plus(number as u64), Cell::Block(run.borrow().block(number)));
            }),
            _ => {}
        }
    }
}

fn cells(key: Key, item: ItemRef<'_>) -> Vec<(Key, Cell)> {
    match item {
        ItemRef::Bytes(value) => vec![(key, Cell::Bytes(value.to_vec()))],
        ItemRef::Run(run) => {
            (0..run.hashes.len()).map(|number| (key.plus(number as u64), Cell::Block(run.block(number)))).collect()
        }
    }
}

fn scan(store: &Store, root: Root, first: Key, last: Key) -> Model {
    let mut found = Model::new();
    let mut previous = None;
    Reader::new(store, root)
        .scan(first, last, &mut |key, item| {
            assert!(previous < Some(key) && first <= key && item.last_key(key) <= last);
            previous = Some(item.last_key(key));
            found.extend(cells(key, item));
            true
        })
        .unwrap();
    found
}

/// How often each pointer is there: blocks one by one.
type Pointers = BTreeMap<Dead, i64>;

fn count(pointers: &mut Pointers, dead: Dead, change: i64) {
    for index in dead.first..dead.first + dead.count {
        let entry = pointers.entry(Dead { first: index, count: 1, ..dead }).or_default();
        *entry += change;
        if *entry == 0 {
            pointers.remove(&Dead { first: index, count: 1, ..dead });
        }
    }
}

/// Every pointer of a tree. Finds nothing that `walk_all` calls damage.
fn pointers(store: &Store, root: &Root) -> Pointers {
    let mut all = Pointers::new();
    walk_all(store, root, &mut |visited| {
        match visited {
            Visited::Node { pointer, .. } => count(&mut all, pointer.dead(), 1),
            Visited::Item(_, ItemRef::Run(run)) => count(&mut all, run.dead(), 1),
            Visited::Item(..) => {}
            Visited::Damage { error, .. } => panic!("{error:?}"),
        }
        Step::Into
    });
    all
}

/// Checks what nodes promise each other: balance, fill, hashes, runs joined.
fn check_shape(store: &Store, root: &Root) {
    assert_eq!(root.pointer.is_some(), root.height > 0);
    if let Some(pointer) = root.pointer {
        assert!(root.height == 1 || store.read(&pointer).unwrap().keys().len() > 1);
        check_node(store, &pointer, root.height - 1, true);
    }
}

fn check_node(store: &Store, pointer: &NodePointer, level: u8, is_last: bool) {
    let node = store.read(pointer).unwrap();
    assert_eq!((node.level(), node.logical_hash()), (level, pointer.hash));
    assert!(is_last || node.weight() >= WEIGHT_MIN, "{} {level}", node.weight());
    match &*node {
        Node::Leaf(leaf) => {
            let mut joined = Leaf::default();
            leaf.items().for_each(|(key, item)| joined.push(key, item));
            assert_eq!(joined, *leaf);
        }
        Node::Interior(interior) => {
            for (number, (_, child)) in interior.children().enumerate() {
                let is_last = is_last && number + 1 == interior.children().len();
                check_node(store, &child, level - 1, is_last);
            }
        }
    }
}

/// What histories are made of.
struct History {
    random: Random,
    store: Store,
    root: Root,
    model: Model,
    birth: u64,
    next_extent: u32,
    /// Positions are multiplied by two to this, so that keys share longer and shorter prefixes.
    spread: u32,
}

const OBJECTS: u64 = 5;
const RUNS: u8 = 1;
const POSITIONS: u64 = 600;

impl History {
    fn new(seed: u64) -> Self {
        let (store, root, model) = (Store::default(), Root::EMPTY, Model::new());
        let spread = [0, 4, 40][seed as usize % 3];
        Self { random: Random(seed), store, root, model, birth: 0, next_extent: 0, spread }
    }

    fn key(&mut self) -> Key {
        let (object, kind) = (self.random.below(OBJECTS), self.random.below(3) as u8);
        let position = self.random.below(POSITIONS);
        // Runs need neighbours.
        Key::new(object, kind, if kind == RUNS { position } else { position << self.spread })
    }

    fn run(&mut self, key: Key) -> Edit {
        self.next_extent += 1;
        let first = self.random.below(RUN_BLOCKS_MAX as u64) as u8;
        let most = RUN_BLOCKS_MAX as u64 - u64::from(first);
        let hashes = (0..1 + self.random.below(most)).map(|_| BlockHash::of(&[self.random.below(4) as u8])).collect();
        let id = SlotId::new(SegmentId(1), self.next_extent);
        Edit::Run(key, Run { id, first, birth: Birth(self.birth), hashes })
    }

    fn edit(&mut self) -> Edit {
        let key = self.key();
        match self.random.below(40) {
            0 => {
                let (other, near) = (self.key(), key.position + self.random.below(60));
                let last = if self.random.below(4) == 0 { other } else { Key { position: near, ..key } };
                Edit::DeleteRange(key, last)
            }
            1..10 => Edit::Delete(key),
            _ if key.kind == RUNS && self.random.below(30) > 0 => self.run(key),
            _ => {
                let longest = 1 + self.random.below(VALUE_MAX as u64);
                Edit::Put(key, vec![longest as u8; self.random.below(longest) as usize])
            }
        }
    }

    /// A batch in which no two puts or runs overlap.
    fn batch(&mut self) -> Vec<Edit> {
        let size = [1, 4, 40, 400][self.random.below(4) as usize];
        let mut taken = Model::new();
        let mut edits = Vec::new();
        for _ in 0..=self.random.below(size) {
            let edit = self.edit();
            let mut covered = Model::new();
            edit_model(&mut covered, std::slice::from_ref(&edit));
            if covered.keys().all(|key| !taken.contains_key(key)) {
                taken.extend(covered);
                edits.push(edit);
            }
        }
        edits
    }

    /// Applies a batch to tree and model, and checks the books: dead pointers and block counts.
    fn apply(&mut self, edits: Vec<Edit>) {
        self.birth += 1;
        let edits: Vec<Edit> = edits.into_iter().map(|edit| born(edit, Birth(self.birth))).collect();
        edit_model(&mut self.model, &edits);
        let mut dead = Vec::new();
        let applied = apply(&self.store, &self.root, edits, Birth(self.birth), &mut dead).unwrap();
        let (mut books, new) = (pointers(&self.store, &self.root), pointers(&self.store, &applied.root));
        dead.iter().for_each(|dead| count(&mut books, *dead, -1));
        for pointer in new.keys() {
            // A pointer not in the books is new; one in both was kept.
            if books.remove(pointer).is_none() {
                assert_eq!(pointer.birth, Birth(self.birth));
            }
        }
        assert_eq!(books, Pointers::new(), "neither dead nor reachable, or reported twice");
        self.check_deltas(&applied);
        self.root = applied.root;
    }

    fn check_deltas(&self, applied: &Applied) {
        let mut blocks: BTreeMap<(u64, u8), i64> = BTreeMap::new();
        for (root, sign) in [(&self.root, -1), (&applied.root, 1)] {
            for (key, cell) in scan(&self.store, *root, Key::MIN, Key::MAX) {
                *blocks.entry((key.object, key.kind)).or_default() +=
                    if matches!(cell, Cell::Block(_)) { sign } else { 0 };
            }
        }
        blocks.retain(|_, delta| *delta != 0);
        let told: BTreeMap<_, _> =
            applied.blocks.iter().map(|delta| ((delta.object, delta.kind), delta.blocks)).collect();
        assert_eq!((told.len(), told), (applied.blocks.len(), blocks));
    }
}

fn born(edit: Edit, birth: Birth) -> Edit {
    match edit {
        Edit::Run(key, run) => Edit::Run(key, Run { birth, ..run }),
        other => other,
    }
}
