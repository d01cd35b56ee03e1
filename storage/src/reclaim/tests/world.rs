//! A pool without an account: catalog, trees and system tree, and the model beside them.

use std::collections::BTreeMap;

use crate::catalog::tests::store::*;
use crate::catalog::*;
use crate::format::{Birth, BlockHash, DatasetId, SegmentId, SlotId, SnapshotId, Timestamp};
use crate::reclaim::*;
use crate::tree::{Dead, Edit, ItemRef, Key, Reader, Root, Run, apply};

const FILE: u64 = 5;
const BLOCKS: u8 = 3;
const VALUES: u8 = 4;
const POSITIONS: u64 = 120;
/// So few that what is sifted comes in several pieces.
pub const POINTERS_MAX: usize = 100;

/// What the model knows of a head or snapshot.
#[derive(Clone)]
pub struct Held {
    pub pointers: Pointers,
    pub dataset: DatasetId,
    /// Destroyed by itself; of a head, with its dataset.
    pub destroyed: Option<Timestamp>,
    pub purged: bool,
}

pub struct World {
    pub random: Random,
    pub store: Store,
    pub catalog: Catalog,
    pub sifter: Sifter,
    pub system: Root,
    pub birth: Birth,
    pub model: BTreeMap<Holder, Held>,
    /// What was written and not freed.
    pub stored: Pointers,
    /// Steps that freed something of a snapshot with several children.
    pub sifted: u64,
    /// Nodes that this commit frees.
    doomed: Vec<SlotId>,
    next_extent: u32,
    pub next_name: u64,
}

pub fn at(seconds: u64) -> Timestamp {
    Timestamp { seconds: seconds as i64, nanoseconds: 0 }
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            store: Store::default(),
            catalog: Catalog::new(),
            sifter: Sifter::new(POINTERS_MAX),
            system: Root::EMPTY,
            birth: Birth(1),
            model: BTreeMap::new(),
            stored: Pointers::new(),
            sifted: 0,
            doomed: Vec::new(),
            next_extent: 0,
            next_name: 0,
        }
    }

    /// The same, as it would be opened again.
    pub fn copy(&self) -> Self {
        Self {
            random: self.random.clone(),
            store: self.store.clone(),
            catalog: Catalog::load(&self.store, &self.system).unwrap(),
            sifter: Sifter::new(POINTERS_MAX),
            model: self.model.clone(),
            stored: self.stored.clone(),
            doomed: self.doomed.clone(),
            ..*self
        }
    }

    pub fn name(&mut self) -> String {
        self.next_name += 1;
        format!("n{}", self.next_name)
    }

    pub fn now(&self) -> Timestamp {
        at(self.birth.0)
    }

    pub fn forget(&mut self, freed: &[Dead]) {
        for dead in freed {
            count(&mut self.stored, dead, -1);
            if dead.is_node {
                self.doomed.push(dead.id);
            }
        }
    }

    pub fn create(&mut self) -> DatasetId {
        let name = self.name();
        let state = State::default();
        let user = [("test:name".to_owned(), name.clone())].into();
        let properties = Properties { user, ..Properties::default() };
        let id = self.catalog.create_dataset(&name, &properties, state, self.now()).unwrap();
        self.hold(Holder::Head(id), id, Pointers::new());
        id
    }

    pub fn hold(&mut self, holder: Holder, dataset: DatasetId, pointers: Pointers) {
        self.model.insert(holder, Held { pointers, dataset, destroyed: None, purged: false });
    }

    /// Writes to a head; at most once a commit, and before its snapshot.
    pub fn write(&mut self, id: DatasetId) {
        let head = Holder::Head(id);
        let before = *self.catalog.state(head).unwrap();
        let edits = self.edits(&before.root);
        let mut dead = Vec::new();
        let root = apply(&self.store, &before.root, edits, self.birth, &mut dead).unwrap().root;
        let now = pointers(&self.store, &root);
        for (pointer, number) in now.iter().filter(|(pointer, _)| pointer.birth == self.birth) {
            count(&mut self.stored, pointer, *number);
        }
        let mut freed = Vec::new();
        self.catalog
            .retire(id, &dead, &mut |dead| {
                freed.push(*dead);
                Ok(())
            })
            .unwrap();
        self.forget(&freed);
        self.catalog.set_head(id, State { root, referenced: now.len() as u64, ..before }).unwrap();
        self.model.get_mut(&head).unwrap().pointers = now;
    }

    fn edits(&mut self, root: &Root) -> Vec<Edit> {
        let mut taken = [false; POSITIONS as usize + 8];
        let mut edits = Vec::new();
        let many = [2, 10, 60][self.random.below(3) as usize];
        for _ in 0..1 + self.random.below(many) {
            let position = self.random.below(POSITIONS);
            let blocks = 1 + self.random.below(6);
            let span = &mut taken[position as usize..(position + blocks) as usize];
            if span.contains(&true) {
                continue;
            }
            span.fill(true);
            let key = Key::new(FILE, BLOCKS, position);
            match self.random.below(8) {
                0 => edits.push(Edit::DeleteRange(key, key.plus(blocks - 1))),
                1 | 2 => edits.extend(self.hit(root, key)),
                3 => edits.push(Edit::Put(Key { kind: VALUES, ..key }, vec![blocks as u8; 200])),
                _ => edits.push(self.run(key, blocks)),
            }
        }
        edits
    }

    fn run(&mut self, key: Key, blocks: u64) -> Edit {
        self.next_extent += 1;
        let id = SlotId::new(SegmentId(1), self.next_extent);
        let hashes = vec![BlockHash::default(); blocks as usize];
        Edit::Run(key, Run { id, first: 0, birth: self.birth, hashes })
    }

    /// A new pointer to an old block of the same tree, as deduplication makes it.
    fn hit(&mut self, root: &Root, key: Key) -> Option<Edit> {
        let mut found = None;
        let last = Key::new(FILE, BLOCKS, u64::MAX);
        let from = Key::new(FILE, BLOCKS, self.random.below(POSITIONS));
        Reader::new(&self.store, *root)
            .scan(from, last, &mut |_, item| {
                if let ItemRef::Run(run) = item {
                    found = Some(Run { birth: self.birth, ..run.part(0, 1).to_run() });
                }
                false
            })
            .unwrap();
        found.map(|run| Edit::Run(key, run))
    }

    pub fn snapshot(&mut self, id: DatasetId) -> SnapshotId {
        let name = self.name();
        let snapshot = self.catalog.snapshot_head(id, &name, self.birth, self.now()).unwrap();
        let held = self.model[&Holder::Head(id)].pointers.clone();
        self.hold(Holder::Snapshot(snapshot), id, held);
        snapshot
    }

    pub fn clone_snapshot(&mut self, snapshot: SnapshotId) -> DatasetId {
        let name = self.name();
        let id = self.catalog.clone_snapshot(snapshot, &name, &PropertyChange::default(), self.now()).unwrap();
        let held = self.model[&Holder::Snapshot(snapshot)].pointers.clone();
        self.hold(Holder::Head(id), id, held);
        id
    }

    pub fn rewind(&mut self, id: DatasetId, to: SnapshotId) {
        let automatic = self.catalog.rewind(id, to, self.birth, self.now()).unwrap();
        let held = self.model[&Holder::Snapshot(to)].pointers.clone();
        let before = std::mem::replace(&mut self.model.get_mut(&Holder::Head(id)).unwrap().pointers, held);
        self.hold(Holder::Snapshot(automatic), id, before);
    }

    pub fn purge(&mut self, before: Timestamp) {
        self.catalog.purge(before);
        let destroyed = |held: &Held| held.destroyed.is_some_and(|since| since < before);
        let datasets: Vec<DatasetId> = self
            .model
            .iter()
            .filter(|(holder, held)| matches!(holder, Holder::Head(_)) && destroyed(held))
            .map(|(_, held)| held.dataset)
            .collect();
        for held in self.model.values_mut() {
            held.purged |= destroyed(held) || datasets.contains(&held.dataset);
        }
    }

    pub fn reclaim(&mut self, budget: u64) -> Progress {
        let mut freed = Vec::new();
        let sources = Sources { nodes: &self.store, system: &self.system };
        let task = self.catalog.next_job().unwrap();
        let progress = step(&mut self.catalog, &mut self.sifter, sources, budget, &mut |dead| {
            freed.push(*dead);
            Ok(())
        })
        .unwrap();
        assert!(progress.damage.is_empty(), "a job reads what is freed");
        self.forget(&freed);
        self.sifted += u64::from(matches!(task, Some(Task::Sift(_))) && !freed.is_empty());
        progress
    }

    /// Ends a commit: what it frees cannot be read any more.
    pub fn commit(&mut self) {
        let mut dead = Vec::new();
        let edits = self.catalog.take_edits();
        assert!(!self.catalog.has_edits());
        self.system = apply(&self.store, &self.system, edits, self.birth, &mut dead).unwrap().root;
        dead.iter().map(|dead| dead.id).chain(self.doomed.drain(..)).for_each(|id| self.store.lose(id));
        self.birth.0 += 1;
        let budget = [1, 20, 2000][self.random.below(3) as usize];
        let aim = self.sifter.aim(&self.catalog).unwrap();
        self.sifter.read(aim, Sources { nodes: &self.store, system: &self.system }, budget).unwrap();
    }

    /// Opens what the last commit left.
    pub fn save_and_load(&mut self) {
        let loaded = Catalog::load(&self.store, &self.system).unwrap();
        assert_eq!(loaded, self.catalog);
        self.catalog = loaded;
        self.sifter = Sifter::new(POINTERS_MAX);
    }

    /// Reclaims all there is, however little, and checks at each commit: then exactly that is stored which is needed.
    pub fn settle(&mut self) {
        let budgets = [&[1][..], &[1, 30, 300]][self.random.below(2) as usize];
        self.sifter.hurry();
        loop {
            let budget = budgets[self.random.below(budgets.len() as u64) as usize];
            let idle = self.reclaim(budget).idle;
            self.commit();
            self.check();
            if self.random.below(6) == 0 {
                self.save_and_load();
                self.sifter.hurry();
                continue;
            }
            if idle {
                break;
            }
        }
        assert_eq!(self.needed(), self.stored);
    }

    /// What those who are not purged reach.
    fn needed(&self) -> Pointers {
        let mut needed = Pointers::new();
        self.model.values().filter(|held| !held.purged).for_each(|held| unite(&mut needed, &held.pointers));
        needed
    }

    /// Checks, between commits, what is stored against the model and the recount.
    pub fn check(&self) {
        assert_eq!(self.recount(), self.stored);
        self.check_lists();
        self.check_edges();
        let (mut needed, present) = (self.needed(), self.catalog.forest());
        assert!(self.model.iter().all(|(holder, held)| held.purged || present.contains(holder)));
        assert!(needed.iter().all(|(pointer, number)| self.stored.get(pointer) >= Some(number)), "freed too early");
        if !self.catalog.has_jobs() {
            present.iter().for_each(|holder| unite(&mut needed, &self.model[holder].pointers));
            assert!(self.stored.iter().all(|(pointer, number)| needed.get(pointer) >= Some(number)), "not freed");
            assert!(present.iter().all(|holder| self.is_needed(*holder)));
            let nodes = self.stored.keys().filter(|pointer| pointer.is_node).count();
            assert_eq!(self.store.count(), nodes + pointers(&self.store, &self.system).len());
        }
    }

    /// Checks that the system tree has the chunks of all lists and no others.
    fn check_lists(&self) {
        let mut stored = Vec::new();
        Reader::new(&self.store, self.system)
            .scan(Key::new(1, 0, 0), Key::MAX, &mut |key, _| {
                stored.push((key.object, key.position));
                true
            })
            .unwrap();
        let lists = self.catalog.forest().into_iter().map(|holder| self.catalog.list(holder).unwrap());
        let of_job = match self.catalog.begun_job().unwrap() {
            Some((_, Task::Sift(Turn { sift, .. }))) => vec![sift.found, sift.taken],
            _ => Vec::new(),
        };
        let mut expected: Vec<_> =
            lists.chain(of_job).flat_map(|list| (list.first..list.end).map(move |number| (list.id, number))).collect();
        expected.sort_unstable();
        assert_eq!(stored, expected);
    }

    /// Checks that each list has what the trees say.
    fn check_edges(&self) {
        for edge in edges(&self.catalog).unwrap() {
            let mut sums = BTreeMap::new();
            edge.for_each(Sources { nodes: &self.store, system: &self.system }, &mut |dead, change| {
                (dead.first..dead.first + dead.count)
                    .for_each(|first| *sums.entry(Dead { first, count: 1, ..*dead }).or_insert(0) += change);
            })
            .unwrap();
            assert!(sums.values().all(|sum| *sum == 0), "{edge:?}: {sums:?}");
        }
    }

    /// Whether a holder is not purged, or is what several come from.
    fn is_needed(&self, holder: Holder) -> bool {
        let children = if let Holder::Snapshot(id) = holder { self.catalog.children(id).count() } else { 0 };
        !self.model[&holder].purged || children > 1
    }

    pub fn recount(&self) -> Pointers {
        let mut counted = Pointers::new();
        let sources = Sources { nodes: &self.store, system: &self.system };
        for_each_reference(&self.catalog, sources, &mut |_, dead| {
            count(&mut counted, dead, 1);
            Ok(())
        })
        .unwrap();
        counted
    }

    /// What all jobs free if no more come, and all is sifted, tried on a copy.
    pub fn freed_by_jobs(&self, mut catalog: Catalog) -> Pointers {
        let (mut system, mut freed, mark) = (self.system, Pointers::new(), self.store.mark());
        let mut sifter = Sifter::default();
        sifter.hurry();
        loop {
            let sources = Sources { nodes: &self.store, system: &system };
            let aim = sifter.aim(&catalog).unwrap();
            sifter.read(aim, sources, 500).unwrap();
            let progress = step(&mut catalog, &mut sifter, sources, 50, &mut |dead| {
                count(&mut freed, dead, 1);
                Ok(())
            });
            let progress = progress.unwrap();
            assert!(progress.damage.is_empty());
            if progress.idle && !catalog.has_edits() {
                break;
            }
            let edits = catalog.take_edits();
            let mut dead = Vec::new();
            system = apply(&self.store, &system, edits, self.birth, &mut dead).unwrap().root;
        }
        self.store.forget_after(mark);
        freed
    }

    pub fn live_snapshots(&self) -> Vec<SnapshotId> {
        self.catalog.list_snapshots().into_iter().map(|info| info.id).collect()
    }

    pub fn live_datasets(&self) -> Vec<DatasetId> {
        self.catalog.list_datasets().into_iter().map(|info| info.id).collect()
    }
}
