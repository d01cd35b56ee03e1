//! Random histories, by seed: every answer is the model's, and so is every state.

use crate::error::Result;
use crate::format::InodeNumber;
use crate::fs::tests::model::{Answer, Model};
use crate::fs::tests::store::{Fs, Store, at, root, user};
use crate::fs::*;

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn sometimes<T>(&mut self, one_in: usize, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(one_in) == 0).then(|| value(self))
    }
}

const NAMES: [&[u8]; 12] = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b".", b"..", b""];
const XATTRS: [&[u8]; 4] = [b"user.a", b"user.b", b"user.c", b"user.d"];
const MODES: [u32; 8] = [0o777, 0o755, 0o1777, 0o2777, 0o6775, 0o770, 0o700, 0o2070];
const KINDS: usize = 14;

struct History {
    fs: Fs,
    model: Model,
    random: Random,
    time: i64,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let hash_mask = random.pick(&[1, 3, u64::MAX]);
        Self { fs: Fs::new(hash_mask), model: Model::new(at(1)), random, time: 2 }
    }

    /// Mostly an inode that exists, and among them mostly a directory.
    fn inode(&mut self) -> u64 {
        let all: Vec<u64> = self.model.nodes.keys().copied().collect();
        let directories: Vec<u64> = all.iter().copied().filter(|n| self.model.nodes[n].is_directory()).collect();
        match self.random.below(20) {
            0 => self.random.next() % (self.model.next + 1),
            1..=5 => self.random.pick(&all),
            _ => self.random.pick(&directories),
        }
    }

    fn file(&mut self) -> u64 {
        let files = |node: &&u64| !self.model.nodes[node].is_directory();
        let files: Vec<u64> = self.model.nodes.keys().filter(files).copied().collect();
        if files.is_empty() || self.random.below(12) == 0 { self.inode() } else { self.random.pick(&files) }
    }

    fn context(&mut self) -> Context {
        self.time += 1;
        match self.random.below(4) {
            0 | 1 => root(self.time),
            2 => user(self.time, 10, &[100, 101]),
            _ => user(self.time, 20, &[200, 101]),
        }
    }

    fn change(&mut self) -> AttributeChange {
        let random = &mut self.random;
        let time = |random: &mut Random| if random.below(2) == 0 { SetTime::Now } else { SetTime::To(at(5)) };
        AttributeChange {
            mode: random.sometimes(3, |random| random.pick(&MODES)),
            uid: random.sometimes(8, |random| random.pick(&[0, 10, 20])),
            gid: random.sometimes(8, |random| random.pick(&[0, 100, 101, 200])),
            size: random.sometimes(6, |random| random.below(20_000) as u64),
            accessed: random.sometimes(6, time),
            modified: random.sometimes(6, time),
            created: None,
        }
    }

    fn object(&mut self) -> NewObject {
        match self.random.below(10) {
            0..=3 => NewObject::Directory,
            4 => NewObject::Symlink(vec![b't'; 1 + self.random.below(3000)]),
            5 => NewObject::Fifo,
            6 | 7 => NewObject::Regular { exclusive: Some(self.random.next() % 2) },
            _ => NewObject::Regular { exclusive: None },
        }
    }

    fn step(&mut self) {
        let who = self.context();
        let name = self.random.pick(&NAMES);
        let node = self.inode();
        let inode = InodeNumber(node);
        match self.random.below(KINDS) {
            0 | 1 => self.create(&who, node, name),
            2 => {
                let file = self.file();
                let got = self.fs.link(&who, InodeNumber(file), inode, name);
                agree(got, self.model.link(&who, file, node, name));
            }
            3 => agree(self.fs.remove(&who, inode, name), self.model.remove(&who, node, name, false)),
            4 => agree(self.fs.remove_directory(&who, inode, name), self.model.remove(&who, node, name, true)),
            5 | 6 => {
                let (to, new) = (self.inode(), self.random.pick(&NAMES));
                let got = self.fs.rename(&who, (inode, name), (InodeNumber(to), new));
                agree(got, self.model.rename(&who, (node, name), (to, new)));
            }
            7 => {
                let (node, change) = (if self.random.below(2) == 0 { node } else { self.file() }, self.change());
                agree(self.fs.set(&who, InodeNumber(node), &change, None), self.model.set(&who, node, &change));
            }
            8 => agree(self.fs.reader().lookup(&who, inode, name), self.model.lookup(&who, node, name).map(drop)),
            9 => self.retain_or_release(),
            10 => self.xattr(&who),
            11 => drop(self.fs.reap(1 << 16)),
            _ => self.bytes(&who),
        }
    }

    fn create(&mut self, who: &Context, directory: u64, name: &[u8]) {
        let (object, mode) = (self.object(), self.random.pick(&MODES));
        let initial = if self.random.below(3) == 0 { self.change() } else { AttributeChange::default() };
        // The model keeps no times that differ from the creation's.
        let initial = AttributeChange { accessed: None, modified: None, ..initial };
        let got = self.fs.create(who, InodeNumber(directory), name, &object, mode, &initial);
        let number = got.as_ref().ok().map(|created| created.object.inode.0);
        let expected = self.model.create(who, directory, name, &object, mode, &initial);
        assert_eq!(number, expected.ok());
        agree(got, expected.map(drop));
    }

    fn bytes(&mut self, who: &Context) {
        let node = self.file();
        let (inode, offset, length) = (InodeNumber(node), self.random.below(20_000), self.random.below(9000));
        match self.random.below(4) {
            0 => {
                let got = self.fs.punch(who, inode, offset as u64, length as u64);
                agree(got, self.model.punch(who, node, offset, length));
            }
            1 => {
                let mut buffer = vec![0xee; length];
                let got = self.fs.reader().read(who, inode, offset as u64, &mut buffer);
                let expected = self.model.read(who, node);
                if let Ok(bytes) = expected {
                    let rest = &bytes[offset.min(bytes.len())..];
                    let read = ReadOutcome { length: rest.len().min(length), end_of_file: rest.len() <= length };
                    assert_eq!((got.as_ref().unwrap(), &buffer[..read.length]), (&read, &rest[..read.length]));
                }
                agree(got, expected.map(drop));
            }
            _ => {
                let bytes = vec![self.random.next() as u8; length % (1 + self.random.below(9000))];
                let got = self.fs.write(who, inode, offset as u64, &bytes);
                agree(got, self.model.write(who, node, offset, &bytes));
            }
        }
    }

    fn xattr(&mut self, who: &Context) {
        let (node, name) = (self.file(), self.random.pick(&XATTRS));
        let inode = InodeNumber(node);
        let value = self.random.sometimes(2, |random| vec![random.next() as u8; random.below(3000)]);
        let got = match &value {
            Some(value) => self.fs.set_xattr(who, inode, name, value, XattrMode::Any),
            None => self.fs.remove_xattr(who, inode, name),
        };
        agree(got, self.model.set_xattr(who, node, name, value.as_deref()));
    }

    fn retain_or_release(&mut self) {
        if self.random.below(3) == 0 {
            self.model.open.clear();
            self.fs.open.clear();
            self.model.sweep();
            self.fs.reap(u64::MAX);
        } else {
            let node = self.inode();
            if self.model.nodes.contains_key(&node) {
                self.model.open.insert(node);
                self.fs.open.insert(InodeNumber(node));
            }
        }
    }

    /// Compares everything there is.
    fn compare(&mut self) {
        let all = root(0);
        for (&number, node) in &self.model.nodes {
            let (inode, reader) = (InodeNumber(number), self.fs.reader());
            let got = reader.attributes(inode).unwrap();
            let size = if node.is_directory() { node.names.len() * 32 } else { node.bytes.len() };
            let expected = (node.kind, node.mode, self.model.links(number), node.uid, node.gid, size as u64);
            assert_eq!((got.kind, got.mode, got.links, got.uid, got.gid, got.size), expected, "{number}");
            let expected = (node.accessed, node.modified, node.changed);
            assert_eq!((got.accessed, got.modified, got.changed), expected, "{number}");
            match node.kind {
                FileKind::Regular => {
                    let mut bytes = vec![0; node.bytes.len() + 1];
                    assert!(reader.read(&all, inode, 0, &mut bytes).unwrap().end_of_file);
                    assert_eq!(bytes[..node.bytes.len()], node.bytes);
                }
                FileKind::Symlink => assert_eq!(reader.read_link(inode).unwrap(), node.bytes),
                FileKind::Directory => {
                    assert_eq!(reader.parent(inode).unwrap().0, node.parent);
                    let page = reader.read_directory(&all, inode, 0, usize::MAX).unwrap();
                    let mut entries: Vec<_> = page.entries.iter().map(|e| (e.name.clone(), e.inode.0)).collect();
                    entries.sort();
                    assert_eq!(entries, node.names.clone().into_iter().collect::<Vec<_>>());
                    assert!(page.entries.iter().all(|e| e.kind == self.model.nodes[&e.inode.0].kind));
                }
                _ => {}
            }
            let names = reader.list_xattrs(&all, inode).unwrap();
            assert!(names.iter().eq(node.xattrs.keys()));
            let (headers, chunks) = (layout::XATTR_KIND, layout::XATTR_CHUNK_KIND);
            let stored =
                |kind| self.fs.store.items.keys().filter(|key| (key.object, key.kind) == (number, kind)).count();
            let expected = node.xattrs.values().map(|value| value.len().saturating_sub(512).div_ceil(1024)).sum();
            assert_eq!((stored(headers), stored(chunks)), (node.xattrs.len(), expected));
            let names = node.xattrs.keys().map(|name| name.len() as u32 + 1).sum();
            assert_eq!(Inode::load(&self.fs.store, inode).unwrap().xattr_names, names);
            assert!(node.xattrs.iter().all(|(name, value)| reader.xattr(&all, inode, name).unwrap() == *value));
            self.compare_names(number);
        }
        self.fs.reap(1 << 14);
        let inodes = self.fs.store.items.keys().filter(|key| key.kind == layout::INODE_KIND).count();
        assert_eq!((inodes, self.fs.inodes), (self.model.nodes.len(), self.model.nodes.len() as i64));
    }
}

impl History {
    /// An inode leads to all its paths, and has no item for any other name.
    fn compare_names(&self, number: u64) {
        let store = &self.fs.store;
        let mut found = self.fs.reader().paths(InodeNumber(number)).unwrap();
        let mut expected = self.model.paths(number);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{number}");
        let stored = store.items.keys().filter(|key| (key.object, key.kind) == (number, layout::NAME_KIND)).count();
        assert_eq!(stored, expected.len().saturating_sub(1), "{number}");
    }
}

fn agree<T>(got: Result<T>, expected: Answer) {
    assert_eq!(got.map(drop).map_err(|error| error.kind()), expected);
}

#[test]
fn histories_are_the_models_and_replay_to_the_same_items() {
    for seed in 0..24 {
        let mut history = History::new(seed);
        let mut steps = 0;
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..600 {
                history.step();
                steps += 1;
                if steps % 40 == 0 {
                    history.compare();
                }
            }
        }));
        assert!(told.is_ok(), "seed {seed}, step {steps}");
        let mut replayed = Store::default();
        make_root(&mut replayed, at(1), 0, 0, 0o777).unwrap();
        for bytes in &history.fs.log {
            apply(&mut replayed, &Record::decode(bytes).unwrap()).unwrap();
        }
        assert_eq!(replayed, history.fs.store, "seed {seed}");
        history.model.open.clear();
        history.fs.open.clear();
        history.model.sweep();
        history.compare();
        leaves_nothing_behind(&history);
    }
}

/// Every item and block belongs to an inode that has a name.
fn leaves_nothing_behind(history: &History) {
    let store = &history.fs.store;
    assert!(store.items.keys().all(|key| history.model.nodes.contains_key(&key.object)));
    assert!(store.blocks.keys().all(|(inode, _)| history.model.nodes.contains_key(&inode.0)));
}
