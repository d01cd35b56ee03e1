//! A pool in memory, and a random user of its datasets.

use std::sync::Arc;

use crate::catalog::{Properties, PropertyChange};
use crate::error::Result;
use crate::executor::Inline;
use crate::format::{InodeNumber, PoolId, Timestamp};
use crate::fs::{
    AttributeChange, Attributes, Caller, Context, FileKind, FileSystem, NewObject, SetTime, Stability, XattrMode,
};
use crate::media::{Choices, Media, Simulator};
use crate::pool::diff::tests::listing::BLOCK_LEN;
use crate::pool::{Budgets, Difference, NewPool, Pool};

const NAMES: [&[u8]; 7] = [b"a", b"b", b"c", b"d", b"e", b"a.b", b"a-b"];

/// The superuser at a moment.
pub fn root(seconds: i64) -> Context {
    Context { now: at(seconds), caller: Caller::Superuser, durable: false, call: None }
}

/// A moment.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}

/// A new pool with the dataset `d`, and cached nodes of at most so many bytes.
pub fn new_pool(segment_size: u32) -> Pool {
    let media: Arc<dyn Media> = Arc::new(Simulator::new());
    let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size, intent_size: 16 << 20 };
    Pool::create(&media, &new).unwrap();
    let pool = Pool::open(media, Arc::new(Inline), Budgets::default(), 7, at(1)).unwrap();
    let properties = Properties { block_size: BLOCK_LEN as u32, extent_size: 16 << 10, ..Properties::default() };
    pool.create_dataset("d", &properties, at(1)).unwrap();
    pool
}

/// All differences.
pub fn diff(pool: &Pool, older: &str, newer: &str) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    pool.diff(older, newer, &mut |difference| {
        found.push(difference);
        true
    })?;
    Ok(found)
}

/// Someone who does things to datasets.
pub struct User {
    pub pool: Pool,
    pub choices: Choices,
    pub time: i64,
    /// Heads.
    pub datasets: Vec<String>,
    open: Vec<(Arc<dyn FileSystem>, InodeNumber)>,
}

impl User {
    pub fn new(seed: u64) -> Self {
        let (pool, choices) = (new_pool(1 << 20), Choices::new(seed));
        Self { pool, choices, time: 10, datasets: vec!["d".to_owned()], open: Vec::new() }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.choices.below(limit as u64) as usize
    }

    /// One of the heads.
    pub fn dataset(&mut self) -> String {
        let number = self.below(self.datasets.len());
        self.datasets[number].clone()
    }

    fn context(&mut self) -> Context {
        self.time += 1;
        root(self.time)
    }

    fn name(&mut self) -> &'static [u8] {
        NAMES[self.below(NAMES.len())]
    }

    /// A directory or something in one, at random, from the root down.
    fn pick(&mut self, files: &dyn FileSystem, wanted: impl Fn(&Attributes) -> bool) -> Option<Attributes> {
        let mut at = files.attributes(InodeNumber::ROOT).unwrap();
        loop {
            if wanted(&at) && self.below(3) == 0 {
                return Some(at);
            }
            let entries = match at.kind {
                FileKind::Directory => files.read_directory(&root(0), at.inode, 0, usize::MAX).unwrap().entries,
                _ => Vec::new(),
            };
            if entries.is_empty() {
                return wanted(&at).then_some(at);
            }
            at = files.attributes(entries[self.below(entries.len())].inode).unwrap();
        }
    }

    fn directory(&mut self, files: &dyn FileSystem) -> InodeNumber {
        let found = self.pick(files, |it| it.kind == FileKind::Directory);
        found.map_or(InodeNumber::ROOT, |found| found.inode)
    }

    /// Does something to one of the datasets; it may be refused.
    pub fn step(&mut self) {
        let dataset = self.dataset();
        let files = self.pool.file_system(&dataset).unwrap();
        let files = &*files;
        let (directory, name, who) = (self.directory(files), self.name(), self.context());
        match self.below(16) {
            0..=3 => drop(self.create(files, directory, name)),
            4 => {
                if let Some(file) = self.pick(files, |it| it.kind != FileKind::Directory) {
                    let _ = files.link(&who, file.inode, directory, name);
                }
            }
            5 => drop(files.remove(&who, directory, name)),
            6 => self.make_anew(files, directory, name),
            7 | 8 => {
                let (to, new) = (self.directory(files), self.name());
                let _ = files.rename(&who, directory, name, to, new);
            }
            9 => self.replace(files, directory, name),
            10 => self.change_attributes(files),
            11 => self.open_or_close(&dataset),
            _ => self.change_bytes(files),
        }
        if self.below(20) == 0 {
            self.pool.commit(at(self.time)).unwrap();
        }
    }

    fn create(&mut self, files: &dyn FileSystem, directory: InodeNumber, name: &[u8]) -> Result<InodeNumber> {
        let object = match self.below(8) {
            0..=2 => NewObject::Directory,
            3 => NewObject::Symlink(vec![b't'; 1 + self.below(1500)]),
            4 => NewObject::CharacterDevice(1, self.below(2) as u32),
            _ => NewObject::Regular { exclusive: None },
        };
        let (who, is_file) = (self.context(), matches!(object, NewObject::Regular { .. }));
        let made = files.create(&who, directory, name, &object, 0o755, &AttributeChange::default())?.object.inode;
        if is_file {
            self.write(files, made);
        }
        self.settle(files, made);
        Ok(made)
    }

    /// Gives a file one of few times, so that files can be alike.
    fn settle(&mut self, files: &dyn FileSystem, inode: InodeNumber) {
        let (who, modified) = (self.context(), Some(SetTime::To(at(self.below(2) as i64))));
        files.set_attributes(&who, inode, &AttributeChange { modified, ..AttributeChange::default() }, None).unwrap();
    }

    fn write(&mut self, files: &dyn FileSystem, inode: InodeNumber) {
        let (offset, length) = (self.below(3) * BLOCK_LEN / 2, 1 + self.below(3 * BLOCK_LEN));
        let (who, bytes) = (self.context(), vec![self.below(3) as u8; length]);
        files.write(&who, inode, offset as u64, &bytes, Stability::Unstable).unwrap();
    }

    /// Removes a directory and all in it, and makes it and some of what was in it anew.
    fn make_anew(&mut self, files: &dyn FileSystem, directory: InodeNumber, name: &[u8]) {
        let who = self.context();
        let Ok(found) = files.lookup(&who, directory, name) else { return };
        let names = match found.kind {
            FileKind::Directory => self.empty(files, found.inode),
            _ => return,
        };
        files.remove_directory(&who, directory, name).unwrap();
        let made = self.directory_at(files, directory, name, found.mode);
        for name in names {
            if self.below(3) > 0 {
                let _ = self.create(files, made, &name);
            }
        }
    }

    /// Makes a directory of a free name, or moves one there.
    fn directory_at(&mut self, files: &dyn FileSystem, at: InodeNumber, name: &[u8], mode: u32) -> InodeNumber {
        let (from, old, who) = (self.directory(files), self.name(), self.context());
        if let Ok(found) = files.lookup(&who, from, old)
            && found.kind == FileKind::Directory
            && files.rename(&who, from, old, at, name).is_ok()
        {
            return found.inode;
        }
        let initial = AttributeChange::default();
        files.create(&who, at, name, &NewObject::Directory, mode, &initial).unwrap().object.inode
    }

    fn empty(&mut self, files: &dyn FileSystem, directory: InodeNumber) -> Vec<Vec<u8>> {
        let entries = files.read_directory(&root(0), directory, 0, usize::MAX).unwrap().entries;
        for entry in &entries {
            let who = self.context();
            match entry.kind {
                FileKind::Directory => {
                    self.empty(files, entry.inode);
                    files.remove_directory(&who, directory, &entry.name).unwrap();
                }
                // Some are saved elsewhere.
                _ if self.below(4) == 0 => {
                    let (to, new) = (self.directory(files), self.name());
                    if files.rename(&who, directory, &entry.name, to, new).is_err() || to == directory {
                        let _ = files.remove(&who, directory, &entry.name);
                        let _ = files.remove(&who, directory, new);
                    }
                }
                _ => drop(files.remove(&who, directory, &entry.name)),
            }
        }
        let left = files.read_directory(&root(0), directory, 0, usize::MAX).unwrap().entries;
        if !left.is_empty() {
            self.empty(files, directory);
        }
        entries.into_iter().map(|entry| entry.name).collect()
    }

    /// Writes a new file and renames it over another, as editors do.
    fn replace(&mut self, files: &dyn FileSystem, directory: InodeNumber, name: &[u8]) {
        if self.create(files, directory, b"new").is_ok() {
            let who = self.context();
            if files.rename(&who, directory, b"new", directory, name).is_err() {
                let _ = files.remove(&who, directory, b"new");
                let _ = files.remove_directory(&who, directory, b"new");
            }
        }
    }

    fn change_attributes(&mut self, files: &dyn FileSystem) {
        let Some(found) = self.pick(files, |_| true) else { return };
        let who = self.context();
        match self.below(5) {
            0 => drop(files.set_xattr(&who, found.inode, b"user.x", &vec![1; self.below(2000)], XattrMode::Any)),
            1 => drop(files.remove_xattr(&who, found.inode, b"user.x")),
            2 => self.settle(files, found.inode),
            3 => {
                let change = AttributeChange { uid: Some(self.below(2) as u32), ..AttributeChange::default() };
                files.set_attributes(&who, found.inode, &change, None).unwrap();
            }
            _ => {
                let change = AttributeChange { mode: Some(0o700 + self.below(2) as u32), ..AttributeChange::default() };
                files.set_attributes(&who, found.inode, &change, None).unwrap();
            }
        }
    }

    fn change_bytes(&mut self, files: &dyn FileSystem) {
        let Some(file) = self.pick(files, |it| it.kind == FileKind::Regular) else { return };
        let who = self.context();
        match self.below(4) {
            0 => {
                let (offset, length) = (self.below(3 * BLOCK_LEN) as u64, self.below(2 * BLOCK_LEN) as u64);
                files.punch(&who, file.inode, offset, length).unwrap();
            }
            1 => {
                let change =
                    AttributeChange { size: Some(self.below(4 * BLOCK_LEN) as u64), ..AttributeChange::default() };
                files.set_attributes(&who, file.inode, &change, None).unwrap();
            }
            _ => self.write(files, file.inode),
        }
        if self.below(2) == 0 {
            self.settle(files, file.inode);
        }
    }

    /// Keeps files open, so that they outlive their names.
    fn open_or_close(&mut self, dataset: &str) {
        if self.open.len() > 3 {
            self.close_all();
            return;
        }
        let files = self.pool.file_system(dataset).unwrap();
        if let Some(found) = self.pick(&*files, |it| it.inode != InodeNumber::ROOT)
            && files.retain(found.inode).is_ok()
        {
            self.open.push((files, found.inode));
        }
    }

    pub fn close_all(&mut self) {
        self.open.drain(..).for_each(|(files, inode)| files.release(inode));
        while !self.pool.reclaim_step(1000, at(self.time)).unwrap().idle {}
    }

    /// Makes a small tree somewhere. Where a clone and its origin grow one each, these have the same inode numbers.
    fn grow(&mut self, dataset: &str) {
        let files = self.pool.file_system(dataset).unwrap();
        let (directory, initial) = (self.directory(&*files), AttributeChange::default());
        let mut at = directory;
        for name in [self.name(), b"b", b"c"] {
            let who = self.context();
            let Ok(made) = files.create(&who, at, name, &NewObject::Directory, 0o755, &initial) else { return };
            at = made.object.inode;
            let _ = self.create(&*files, at, b"a");
        }
    }

    /// Clones a snapshot, or goes back to one.
    pub fn branch(&mut self, snapshot: &str) {
        let (dataset, _) = snapshot.split_once('@').unwrap();
        if self.datasets.len() < 4 {
            let name = format!("c{}", self.datasets.len());
            self.pool.clone_snapshot(snapshot, &name, &PropertyChange::default(), at(self.time)).unwrap();
            if self.below(2) == 0 {
                self.grow(dataset);
                self.grow(&name);
            }
            self.datasets.push(name);
        } else {
            self.close_all();
            self.pool.rewind(dataset, snapshot, at(self.time)).unwrap();
        }
    }
}
