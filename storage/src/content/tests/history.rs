//! Random histories: edits, freezes, commits, and readers that keep the state they began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::Recorded;
use crate::content::tests::model::{FROZEN, Model, OPEN, any_key};
use crate::content::tests::new_store;
use crate::content::{Edit, Items, ItemsMut, Layers, WriteBack, write_back};
use crate::format::{Birth, DatasetId, InodeNumber, SlotId};
use crate::media::Choices;
use crate::store::{CommitWriter, Store};
use crate::tree::{self, Dead, Root, Step, Visited};

/// A reader: its layers, and what they were when they last changed; `None`: what the head is now.
type Kept = (Layers, Option<Model>);

struct History {
    store: Arc<Store>,
    layers: Layers,
    model: Model,
    choices: Choices,
    birth: u64,
    /// Bytes allocated in the root.
    committed: u64,
    /// As of the last freeze.
    frozen: u64,
    kept: Vec<Kept>,
    dead: Vec<Dead>,
}

impl History {
    fn new(seed: u64) -> Self {
        let block_len = if seed % 6 == 5 { 16384 } else { 4096 };
        let store = new_store();
        let layers = Layers::new(Arc::clone(&store), block_len, Root::EMPTY);
        let model = Model::new(u64::from(block_len), 1..5);
        let choices = Choices::new(seed);
        Self { store, layers, model, choices, birth: 1, committed: 0, frozen: 0, kept: Vec::new(), dead: Vec::new() }
    }

    fn pick(&mut self, limit: u64) -> u64 {
        self.choices.below(limit)
    }

    fn edit(&mut self) {
        let layers = self.layers.clone();
        let logged = self.pick(2) == 0;
        let (mut edit, before) = (Edit::new(&layers, logged), self.model.clone());
        for _ in 0..=self.pick(4) {
            self.change(&mut edit, logged);
        }
        if self.pick(8) == 0 {
            self.model.check(&edit, &mut self.choices);
            before.check(&self.layers, &mut self.choices);
        }
        let change = self.model.allocated() as i64 - before.allocated() as i64;
        assert_eq!(edit.allocated_change(), change);
        if self.pick(6) == 0 {
            self.model = before;
        } else {
            edit.finish();
        }
    }

    fn change(&mut self, edit: &mut Edit<'_>, logged: bool) {
        let (inode, choices) = (InodeNumber(1 + self.choices.below(4)), &mut self.choices);
        match choices.below(8) {
            0..3 => {
                let range = self.model.any_range(choices);
                let bytes = any_bytes((range.end - range.start) as usize, choices);
                edit.write(inode, range.start, &bytes).unwrap();
                let mut bytes = bytes.iter();
                self.model.change(inode, range, |_, byte, unlogged| {
                    *byte = *bytes.next().unwrap();
                    *unlogged = if logged { 0 } else { *unlogged | OPEN };
                });
            }
            3..5 => {
                let (left, right) = (self.model.any_range(choices), self.model.any_range(choices));
                let first = [0, left.start][choices.below(4).min(1) as usize];
                let end = [left.end, right.end, 1 << 63, u64::MAX][choices.below(4) as usize];
                edit.punch(inode, first, end).unwrap();
                self.model.change(inode, first..end, |_, byte, unlogged| (*byte, *unlogged) = (0, 0));
            }
            5 => {
                // Many of a kind, so that scans go in steps.
                for _ in 0..choices.below(300) {
                    let (key, value) = (any_key(choices), vec![7; 1 + choices.below(40) as usize]);
                    edit.put(key, value.clone()).unwrap();
                    self.model.items.insert(key, value);
                }
            }
            6 => {
                let (key, value) = (any_key(choices), any_bytes(1 + choices.below(1024) as usize, choices));
                edit.put(key, value.clone()).unwrap();
                self.model.items.insert(key, value);
            }
            _ => {
                let first = any_key(choices);
                let keys: Vec<_> = self.model.items.range(first..).map(|(key, _)| *key).take(40).collect();
                for key in keys.into_iter().chain([any_key(choices)]) {
                    edit.delete(key).unwrap();
                    self.model.items.remove(&key);
                }
            }
        }
    }

    fn freeze(&mut self) {
        let dirty = self.layers.is_dirty();
        assert_eq!(self.layers.freeze(), dirty);
        if !dirty {
            return;
        }
        for (_, seen) in &mut self.kept {
            seen.get_or_insert_with(|| self.model.clone());
        }
        self.model.map_unlogged(|unlogged| unlogged << 1);
        assert_eq!(OPEN << 1, FROZEN);
        self.frozen = self.model.allocated();
    }

    /// Writes the frozen overlay back.
    fn commit(&mut self) {
        let Some(frozen) = self.layers.frozen().cloned() else { return };
        let how = WriteBack {
            dataset: DatasetId(3),
            block_len: self.layers.block_len(),
            extent_len: self.layers.block_len() << self.pick(5),
            level: [None, Some(1)][self.pick(2) as usize],
            hurried: self.birth.is_multiple_of(2),
            birth: Birth(self.birth),
            privileged: false,
            dedup: self.pick(2) == 1,
        };
        let written = write_back(&self.store, self.layers.root(), &frozen.read(), &how).unwrap();
        assert_eq!(self.committed.checked_add_signed(written.allocated_change), Some(self.frozen));
        let writer = CommitWriter::new(&self.store, how.birth);
        let mut dead = Vec::new();
        let applied = tree::apply(&writer, self.layers.root(), written.edits, how.birth, &mut dead).unwrap();
        self.layers.install(applied.root);
        self.committed = self.frozen;
        self.model.map_unlogged(|unlogged| unlogged & OPEN);
        self.store.account().commit(how.birth, Birth(0), None).unwrap();
        self.birth += 1;
        self.dead.append(&mut dead);
    }

    /// All that a dropped root reached and the present one does not goes.
    fn free(&mut self) {
        self.kept.clear();
        for dead in std::mem::take(&mut self.dead) {
            self.store.account().free(Birth(self.birth), dead.id, dead.first, dead.count).unwrap();
        }
        self.store.account().hurry();
        self.store.account().commit(Birth(self.birth), Birth(self.birth), None).unwrap();
        self.birth += 1;
        self.check_references();
    }

    /// What lives is what the root reaches.
    fn check_references(&self) {
        let mut reached: BTreeMap<SlotId, u32> = BTreeMap::new();
        tree::walk_all(&*self.store, self.layers.root(), &mut |visited| {
            let (id, bits) = match visited {
                Visited::Node { pointer, .. } => (pointer.id, 1),
                Visited::Item(_, tree::ItemRef::Run(run)) => {
                    (run.id, (u32::MAX >> (32 - run.hashes.len())) << run.first)
                }
                Visited::Item(..) => return Step::Into,
                Visited::Damage { error, .. } => panic!("{error:?}"),
            };
            let known = reached.entry(id).or_default();
            assert_eq!(*known & bits, 0, "one pointer to each block");
            *known |= bits;
            Step::Into
        });
        let mut live = BTreeMap::new();
        let add = &mut |found: &Recorded| assert_eq!(live.insert(found.id, found.slot.live), None);
        self.store.account().for_each_slot(add).unwrap();
        assert_eq!(live, reached);
    }

    fn mark_logged(&mut self) {
        let inode = InodeNumber(1 + self.pick(4));
        let range = self.model.any_range(&mut self.choices);
        self.layers.mark_logged(inode, std::slice::from_ref(&range));
        self.model.change(inode, range, |_, _, unlogged| *unlogged = 0);
    }

    fn step(&mut self) {
        match self.pick(40) {
            0..24 => self.edit(),
            24..26 if self.layers.frozen().is_none() => self.freeze(),
            24..29 => self.commit(),
            29..31 => self.mark_logged(),
            31..33 => self.kept.push((self.layers.clone(), None)),
            33 if !self.kept.is_empty() => {
                let at = self.pick(self.kept.len() as u64) as usize;
                self.kept.swap_remove(at);
            }
            34 if self.layers.frozen().is_none() => self.free(),
            35 => self.store.clear_caches(),
            _ => self.check(),
        }
    }

    fn check(&mut self) {
        self.model.check(&self.layers, &mut self.choices);
        self.model.check_head(&self.layers, self.committed);
        for (layers, seen) in &self.kept {
            seen.as_ref().unwrap_or(&self.model).check(layers, &mut self.choices);
        }
    }
}

/// Zeros, few values, or noise; or changing from one to another.
fn any_bytes(length: usize, choices: &mut Choices) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let piece = (length - bytes.len()).min(1 + choices.below(20_000) as usize);
        let limit = [1, 1, 3, 256][choices.below(4) as usize];
        bytes.extend((0..piece).map(|_| choices.below(limit) as u8));
    }
    bytes
}

#[test]
fn histories_agree_with_the_model() {
    for seed in 0..18 {
        let mut history = History::new(seed);
        (0..150).for_each(|_| history.step());
        history.commit();
        history.check();
        history.free();
        // A reader of only the root sees what a head without overlays is.
        history.freeze();
        history.commit();
        let reopened = Layers::new(Arc::clone(&history.store), history.layers.block_len(), *history.layers.root());
        history.store.clear_caches();
        history.model.check(&reopened, &mut history.choices);
        assert!(!reopened.is_dirty() && reopened.allocated(InodeNumber(99)).unwrap() == 0);
    }
}
