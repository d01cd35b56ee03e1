//! Items and file bytes in memory, and a file system on them that records what it does.

use std::collections::{BTreeMap, BTreeSet};

use crate::content::{Items, ItemsMut, VALUE_MAX};
use crate::error::Result;
use crate::format::{InodeNumber, Timestamp};
use crate::fs::*;
use crate::tree::Key;

const BLOCK: u64 = 4096;

/// Items, and the blocks of files that are not holes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Store {
    pub items: BTreeMap<Key, Vec<u8>>,
    pub blocks: BTreeMap<(InodeNumber, u64), Vec<u8>>,
}

impl Items for Store {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>> {
        Ok(self.items.get(&key).cloned())
    }

    fn scan(&self, first: Key, last: Key, found: &mut dyn FnMut(Key, &[u8]) -> bool) -> Result<()> {
        self.items.range(first..=last).all(|(key, value)| found(*key, value));
        Ok(())
    }

    fn read(&self, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<()> {
        for (at, byte) in (offset..).zip(buffer) {
            *byte = self.blocks.get(&(inode, at / BLOCK)).map_or(0, |block| block[(at % BLOCK) as usize]);
        }
        Ok(())
    }

    fn allocated(&self, inode: InodeNumber) -> Result<u64> {
        Ok(self.blocks.range((inode, 0)..=(inode, u64::MAX)).count() as u64 * BLOCK)
    }

    fn seek(&self, inode: InodeNumber, offset: u64, end: u64, data: bool) -> Result<Option<u64>> {
        let first = offset / BLOCK;
        let block = if data {
            self.blocks.range((inode, first)..=(inode, u64::MAX)).next().map(|((_, block), _)| *block)
        } else {
            (first..).find(|&block| !self.blocks.contains_key(&(inode, block)))
        };
        Ok(block.map(|block| (block * BLOCK).max(offset)).filter(|&at| at < end))
    }
}

impl ItemsMut for Store {
    fn put(&mut self, key: Key, value: Vec<u8>) -> Result<()> {
        assert!(value.len() <= VALUE_MAX && !value.is_empty(), "{key:?}");
        self.items.insert(key, value);
        Ok(())
    }

    fn delete(&mut self, key: Key) -> Result<()> {
        self.items.remove(&key);
        Ok(())
    }

    fn write(&mut self, inode: InodeNumber, offset: u64, bytes: &[u8]) -> Result<()> {
        for (at, byte) in (offset..).zip(bytes) {
            let block = self.blocks.entry((inode, at / BLOCK)).or_insert_with(|| vec![0; BLOCK as usize]);
            block[(at % BLOCK) as usize] = *byte;
        }
        Ok(())
    }

    fn punch(&mut self, inode: InodeNumber, first: u64, end: u64) -> Result<()> {
        assert!(first <= end);
        self.blocks.retain(|&(owner, block), bytes| {
            let (start, stop) = (block * BLOCK, (block + 1) * BLOCK);
            let (first, end) = (first.max(start), end.min(stop));
            if owner == inode && first < end {
                bytes[(first - start) as usize..(end - start) as usize].fill(0);
            }
            owner != inode || first >= end || end - first < BLOCK
        });
        Ok(())
    }
}

/// A file system in memory: plans, encodes, decodes and applies, as the pool will.
pub struct Fs {
    pub store: Store,
    pub names: Names,
    pub next: u64,
    pub inodes: i64,
    pub open: BTreeSet<InodeNumber>,
    /// Every record so far, encoded.
    pub log: Vec<Vec<u8>>,
}

impl Fs {
    /// An empty file system whose names have only as many hashes as `hash_mask` has values.
    pub fn new(hash_mask: u64) -> Self {
        let mut store = Store::default();
        make_root(&mut store, at(1), 0, 0, 0o777).unwrap();
        let names = Names::narrow([7; 32], hash_mask);
        Self { store, names, next: 2, inodes: 1, open: BTreeSet::new(), log: Vec::new() }
    }

    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.store, &self.names)
    }

    pub fn run(&mut self, record: Record<'_>) -> Outcome {
        let encoded = record.encode().to_vec();
        let decoded = Record::decode(&encoded).unwrap();
        assert_eq!(decoded, record);
        let before = self.store.clone();
        let outcome = apply(&mut self.store, &decoded).unwrap();
        check_effect(&before, &self.store, &outcome.effect);
        self.inodes += outcome.inodes;
        self.next = self.next.max(outcome.taken.map_or(0, |taken| taken.0 + 1));
        self.log.push(encoded);
        outcome
    }

    pub fn create(
        &mut self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        object: &NewObject,
        mode: u32,
        initial: &AttributeChange,
    ) -> Result<Created> {
        let next = InodeNumber(self.next);
        Ok(match self.reader().plan_create(context, directory, name, object, mode, initial, next)? {
            Plan::Nothing(created) => created,
            Plan::Record(record) => self.run(record).created(),
        })
    }

    pub fn set(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        change: &AttributeChange,
        guard: Option<Timestamp>,
    ) -> Result<Changed> {
        let plan = self.reader().plan_set_attributes(context, inode, change, guard)?;
        Ok(self.changed(plan))
    }

    pub fn write(&mut self, context: &Context, inode: InodeNumber, offset: u64, bytes: &[u8]) -> Result<Changed> {
        let plan = self.reader().plan_write(context, inode, offset, bytes)?;
        Ok(self.changed(plan))
    }

    pub fn punch(&mut self, context: &Context, inode: InodeNumber, offset: u64, length: u64) -> Result<Changed> {
        let plan = self.reader().plan_punch(context, inode, offset, length)?;
        Ok(self.changed(plan))
    }

    pub fn remove(&mut self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed> {
        let plan = self.reader().plan_remove(context, directory, name, |inode| self.open.contains(&inode))?;
        Ok(self.changed(plan))
    }

    pub fn remove_directory(&mut self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed> {
        let plan = self.reader().plan_remove_directory(context, directory, name, |inode| self.open.contains(&inode))?;
        Ok(self.changed(plan))
    }

    fn changed(&mut self, plan: Plan<'_, Changed>) -> Changed {
        match plan {
            Plan::Nothing(changed) => changed,
            Plan::Record(record) => self.run(record).changed(),
        }
    }

    pub fn link(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        directory: InodeNumber,
        name: &[u8],
    ) -> Result<Linked> {
        Ok(match self.reader().plan_link(context, inode, directory, name)? {
            Plan::Nothing(linked) => linked,
            Plan::Record(record) => self.run(record).linked(),
        })
    }

    pub fn rename(
        &mut self,
        context: &Context,
        (from_directory, from): (InodeNumber, &[u8]),
        (to_directory, to): (InodeNumber, &[u8]),
    ) -> Result<Renamed> {
        let retained = |inode| self.open.contains(&inode);
        Ok(match self.reader().plan_rename(context, from_directory, from, to_directory, to, retained)? {
            Plan::Nothing(renamed) => renamed,
            Plan::Record(record) => self.run(record).renamed(),
        })
    }

    pub fn set_xattr(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()> {
        let record = self.reader().plan_set_xattr(context, inode, name, value, mode)?;
        self.run(record);
        Ok(())
    }

    pub fn remove_xattr(&mut self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()> {
        let record = self.reader().plan_remove_xattr(context, inode, name)?;
        self.run(record);
        Ok(())
    }

    /// Reaps what nobody has open, in steps of `budget` bytes; returns how many steps it took.
    pub fn reap(&mut self, budget: u64) -> usize {
        let mut steps = 0;
        let waiting = orphans(&self.store, InodeNumber(0), usize::MAX).unwrap();
        for orphan in waiting.into_iter().filter(|orphan| !self.open.contains(orphan)).collect::<Vec<_>>() {
            loop {
                let record = plan_reap(&self.store, orphan, budget).unwrap();
                steps += 1;
                if self.run(record).erased.is_some() {
                    break;
                }
            }
        }
        steps
    }
}

/// What an effect tells of before and after is what the items say before and after.
fn check_effect(before: &Store, after: &Store, effect: &Effect) {
    let load = |store: &Store, attributes: &Attributes| {
        Inode::load(store, attributes.inode).unwrap().attributes(store).unwrap()
    };
    let (changes, object) = match effect {
        Effect::Changed(changed) => (vec![changed], None),
        Effect::Created(created) => (vec![&created.directory], Some(&created.object)),
        Effect::Linked(linked) => (vec![&linked.directory], Some(&linked.object)),
        Effect::Renamed(renamed) => (vec![&renamed.from, &renamed.to], None),
        Effect::None => (vec![], None),
    };
    for changed in changes {
        assert_eq!(changed.before, load(before, &changed.before));
        assert_eq!(changed.after, load(after, &changed.after));
        assert_eq!((changed.before.change + 1, changed.before.inode), (changed.after.change, changed.after.inode));
    }
    object.into_iter().for_each(|object| assert_eq!(*object, load(after, object)));
}

/// A moment.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: seconds as u32 % 1000 }
}

/// The superuser at a moment.
pub fn root(seconds: i64) -> Context {
    Context { now: at(seconds), caller: Caller::Superuser, durable: true, call: None }
}

/// A user at a moment.
pub fn user(seconds: i64, uid: u32, groups: &[u32]) -> Context {
    let credentials = Credentials { uid, gid: groups[0], groups: groups[1..].to_vec() };
    Context { now: at(seconds), caller: Caller::User(credentials), durable: true, call: None }
}
