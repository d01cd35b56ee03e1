//! A pool on a simulated disk, and random things to do with it, for tests of the whole pool.

use std::sync::Arc;

use crate::catalog::{Compression, Properties, PropertyChange};
use crate::error::{ErrorKind, Result};
use crate::executor::Inline;
use crate::format::{InodeNumber, PoolId, Timestamp};
use crate::fs::{AttributeChange, Caller, Context, FileKind, FileSystem, NewObject, Stability};
use crate::media::{Choices, Media, Simulator};
use crate::pool::core::Core;
use crate::pool::{Budgets, NewPool, Pool};

/// A pool and what is needed to do random things with it.
pub struct World {
    pub disk: Arc<Simulator>,
    pub pool: Pool,
    pub choices: Choices,
    pub seconds: i64,
    /// Whether the power may go at random.
    pub crashes: bool,
    names: u64,
}

pub fn context() -> Context {
    Context { now: Timestamp { seconds: 1, nanoseconds: 0 }, caller: Caller::Superuser, durable: false, call: None }
}

/// Opens the pool on a disk.
pub fn open(disk: &Arc<Simulator>) -> Result<Pool> {
    let media: Arc<dyn Media> = Arc::clone(disk) as _;
    Pool::open(media, Arc::new(Inline), Budgets::default(), 7, Timestamp::default())
}

/// The same bytes for the same number; some compress and some do not, and some blocks occur in several.
pub fn content(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 4096);
    let mut choices = Choices::new(number);
    while bytes.len() < length {
        let mut piece = Choices::new(choices.below(40) + number / 4);
        let alphabet = if number.is_multiple_of(2) { 256 } else { 3 };
        bytes.extend((0..4096).map(|_| piece.below(alphabet) as u8));
    }
    bytes.truncate(length);
    bytes
}

impl World {
    pub fn new(seed: u64) -> Self {
        let disk = Arc::new(Simulator::new());
        let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size: 1 << 20, intent_size: 1 << 20 };
        Pool::create(&(Arc::clone(&disk) as Arc<dyn Media>), &new).unwrap();
        let pool = open(&disk).unwrap();
        Self { disk, pool, choices: Choices::new(seed), seconds: 1000, crashes: true, names: 0 }
    }

    pub fn core(&self) -> &Core {
        &self.pool.core
    }

    pub fn now(&self) -> Timestamp {
        Timestamp { seconds: self.seconds, nanoseconds: 0 }
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.choices.below(from.len() as u64) as usize).cloned()
    }

    pub fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    pub fn datasets(&self) -> Vec<String> {
        self.pool.list().unwrap().datasets.into_iter().map(|info| info.name).collect()
    }

    /// Snapshots by full name.
    pub fn snapshots(&self) -> Vec<String> {
        let listing = self.pool.list().unwrap();
        let name = |dataset| listing.datasets.iter().find(|info| info.id == dataset).unwrap().name.clone();
        listing.snapshots.iter().map(|info| format!("{}@{}", name(info.dataset), info.name)).collect()
    }

    pub fn commit(&self) {
        self.pool.commit(self.now()).unwrap();
    }

    /// Works off all that is purged.
    pub fn reclaim(&self) {
        self.commit();
        while !self.pool.reclaim_step(500, self.now()).unwrap().idle {}
    }

    /// The same, and has it given back.
    pub fn settle(&self) {
        self.reclaim();
        for _ in 0..3 {
            self.core().store.account().hurry();
            self.commit();
        }
    }

    /// One thing at random.
    pub fn step(&mut self) {
        self.seconds += 1;
        let (datasets, snapshots) = (self.datasets(), self.snapshots());
        let (dataset, snapshot) = (self.pick(&datasets), self.pick(&snapshots));
        let (now, name) = (self.now(), self.name());
        match (self.choices.below(100), dataset, snapshot) {
            (0..5, ..) | (_, None, _) if datasets.len() < 7 => self.create_dataset(),
            (5..45, Some(dataset), _) => self.write(&dataset),
            (45..52, Some(dataset), _) => self.change(&dataset),
            (52..62, Some(dataset), _) => tolerate(self.pool.snapshot(&[(&dataset, &name)], now)),
            (62..66, _, Some(snapshot)) if datasets.len() < 7 => {
                tolerate(self.pool.clone_snapshot(&snapshot, &name, &PropertyChange::default(), now));
            }
            (66..69, Some(dataset), Some(snapshot)) => tolerate(self.pool.rewind(&dataset, &snapshot, now)),
            (69..71, Some(dataset), _) => tolerate(self.pool.destroy(&dataset, false, now)),
            (71..76, _, Some(snapshot)) => tolerate(self.pool.destroy(&snapshot, false, now)),
            (76, ..) => self.undelete(),
            (77..82, ..) => {
                let before = now.seconds - self.choices.below(10) as i64;
                tolerate(self.pool.purge(Timestamp { seconds: before, nanoseconds: 0 }, now));
            }
            (82..90, ..) => {
                let budget = [1, 20, 200][self.choices.below(3) as usize];
                self.pool.reclaim_step(budget, now).unwrap();
            }
            (90..92, ..) => drop(self.pool.clean_step(1 << 20, now).unwrap()),
            (92..98, ..) => self.commit(),
            (98.., ..) if self.crashes => self.crash(),
            _ => {}
        }
    }

    pub fn create_dataset(&mut self) {
        let block_size = [4 << 10, 16 << 10, 64 << 10][self.choices.below(3) as usize];
        let compression = if self.choices.below(3) == 0 { Compression::Off } else { Compression::Zstd(1) };
        let extent_size = if self.choices.below(3) == 0 { block_size } else { 64 << 10 };
        let properties = Properties { block_size, extent_size, compression, ..Properties::default() };
        let (name, now) = (self.name(), self.now());
        self.pool.create_dataset(&name, &properties, now).unwrap();
    }

    /// Writes `content(number, length)` to a file, making it and its directories.
    pub fn put(&self, dataset: &str, path: &str, offset: u64, number: u64, length: usize) {
        self.try_put(dataset, path, offset, number, length).unwrap();
    }

    /// The same, on a disk that may fail. Returns the file.
    pub fn try_put(&self, dataset: &str, path: &str, offset: u64, number: u64, length: usize) -> Result<InodeNumber> {
        let files = self.pool.file_system(dataset)?;
        let mut inode = InodeNumber::ROOT;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let object = match parts.peek() {
                Some(_) => NewObject::Directory,
                None => NewObject::Regular { exclusive: None },
            };
            inode = try_make(&*files, inode, part, object)?;
        }
        files.write(&context(), inode, offset, &content(number, length), Stability::Unstable)?;
        Ok(inode)
    }

    /// Writes some bytes to a file that there is, or a new one.
    pub fn write(&mut self, dataset: &str) {
        let files = self.pool.file_system(dataset).unwrap();
        let directory = self.directory(&*files);
        let name = format!("f{}", self.choices.below(5));
        let inode = make(&*files, directory, &name, NewObject::Regular { exclusive: None });
        let (number, most) = (self.choices.below(8), [10_000, 50_000, 400_000][self.choices.below(3) as usize]);
        let bytes = content(number, 1 + self.choices.below(most) as usize);
        let offset = if self.choices.below(2) == 0 { 0 } else { self.choices.below(60_000) };
        tolerate(files.write(&context(), inode, offset, &bytes, Stability::Unstable));
        if self.choices.below(4) == 0 {
            tolerate(files.sync(inode));
        }
    }

    fn directory(&mut self, files: &dyn FileSystem) -> InodeNumber {
        match self.choices.below(4) {
            0 => InodeNumber::ROOT,
            number => make(files, InodeNumber::ROOT, &format!("d{number}"), NewObject::Directory),
        }
    }

    /// Removes, links, renames, cuts off or punches.
    fn change(&mut self, dataset: &str) {
        let files = self.pool.file_system(dataset).unwrap();
        let directory = self.directory(&*files);
        let (name, other) = (format!("f{}", self.choices.below(5)), self.name());
        let Ok(found) = files.lookup(&context(), directory, name.as_bytes()) else { return };
        if found.kind != FileKind::Regular {
            return;
        }
        let size = found.size.max(1);
        match self.choices.below(5) {
            0 => tolerate(files.remove(&context(), directory, name.as_bytes())),
            1 => tolerate(files.link(&context(), found.inode, directory, other.as_bytes())),
            2 => tolerate(files.rename(&context(), directory, name.as_bytes(), InodeNumber::ROOT, other.as_bytes())),
            3 => {
                let change = AttributeChange { size: Some(self.choices.below(size)), ..AttributeChange::default() };
                tolerate(files.set_attributes(&context(), found.inode, &change, None));
            }
            _ => tolerate(files.punch(&context(), found.inode, self.choices.below(size), size / 2)),
        }
    }

    fn undelete(&mut self) {
        let destroyed = self.pool.destroyed().unwrap();
        let names: Vec<String> = destroyed.datasets.into_iter().map(|info| info.name).collect();
        if let Some(name) = self.pick(&names) {
            let (to, now) = (self.name(), self.now());
            tolerate(self.pool.undelete(&name, Some(&to), now));
        }
    }

    /// Closes the pool and opens it again.
    pub fn reopen(&mut self) {
        self.pool.close(self.now()).unwrap();
        self.pool = open(&self.disk).unwrap();
    }

    /// The power goes.
    pub fn crash(&mut self) {
        let choices = &mut self.choices;
        self.disk = Arc::new(self.disk.crash(&mut |limit| choices.below(limit)));
        self.pool = open(&self.disk).unwrap();
    }
}

/// The inode of a name, made where there is none.
pub fn make(files: &dyn FileSystem, directory: InodeNumber, name: &str, object: NewObject) -> InodeNumber {
    try_make(files, directory, name, object).unwrap()
}

fn try_make(files: &dyn FileSystem, directory: InodeNumber, name: &str, object: NewObject) -> Result<InodeNumber> {
    if let Ok(found) = files.lookup(&context(), directory, name.as_bytes()) {
        return Ok(found.inode);
    }
    let initial = AttributeChange::default();
    Ok(files.create(&context(), directory, name.as_bytes(), &object, 0o755, &initial)?.object.inode)
}

/// What was asked for at random may be refused; but nothing may break.
pub fn tolerate<T>(result: Result<T>) {
    if let Err(error) = result {
        let broken = [ErrorKind::Corrupt, ErrorKind::Io, ErrorKind::Poisoned, ErrorKind::NoSpace, ErrorKind::Stale];
        assert!(!broken.contains(&error.kind()), "{error:?}");
    }
}
