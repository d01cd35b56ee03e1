//! A whole pool on the simulator: several threads do what clients and the background do, while the power goes.

mod acts;
mod left;
mod narrow;

use std::ops::Range;
use std::sync::Arc;

use crate::catalog::{Compression, Properties};
use crate::error::Result;
use crate::executor::Inline;
use crate::format::{InodeNumber, PoolId, Timestamp};
use crate::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use crate::media::{Choices, Media, Simulator};
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};
use crate::pool::tests::threads::registers::{Registers, Time, Value};
use crate::pool::{Budgets, NewPool, Pool};
use crate::sync::Mutex;

const BLOCK_LEN: usize = 4096;
/// Files that all write to, and blocks in each.
const FILES: usize = 2;
const BLOCKS: usize = 4;
const NOW: Timestamp = Timestamp { seconds: 100, nanoseconds: 0 };

/// A snapshot, clone or file with a name of its own, which was promised.
#[derive(Clone, Debug)]
struct Thing {
    name: String,
    /// When it was made, for a snapshot: its blocks are those of one instant of this.
    time: Range<Time>,
    /// What is in it, as far as that is known.
    values: Option<Vec<Value>>,
    /// Somebody is about to destroy it.
    is_going: bool,
    /// That was done.
    is_gone: bool,
}

/// What must be true.
#[derive(Clone, Default)]
struct Model {
    head: Registers,
    snapshots: Vec<Thing>,
    /// Clones of snapshots.
    clones: Vec<Thing>,
    /// Files of another dataset.
    files: Vec<Thing>,
}

struct World {
    disk: Arc<Simulator>,
    pool: Pool,
    model: Mutex<Model>,
    /// Whether the disk is to fail at some time.
    may_fail: bool,
}

fn context(durable: bool) -> Context {
    Context { now: NOW, caller: Caller::Superuser, durable, call: None }
}

fn open(disk: &Arc<Simulator>, budgets: Budgets) -> Pool {
    Pool::open(Arc::clone(disk) as Arc<dyn Media>, Arc::new(Inline), budgets, 7, NOW).unwrap()
}

/// Little memory, so that what is read comes from the disk, writers wait and commits are long ones.
fn budgets(choices: &mut Choices) -> Budgets {
    let dirty = [40 << 10, 64 << 10, 16 << 20][choices.below(3) as usize];
    let cached = [0, 40 << 10][choices.below(2) as usize];
    Budgets { dirty, nodes: cached, blocks: cached, slots: cached, dedup: 1 << 12 }
}

fn bytes_of(values: &[Value]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes().repeat(BLOCK_LEN / 8)).collect()
}

/// What blocks are filled with; nothing else is in them.
fn values_of(bytes: &[u8]) -> Vec<Value> {
    let value = |block: &[u8]| {
        assert!(block.chunks(8).all(|word| word == &block[..8]), "a block has parts of several writes");
        Value::from_le_bytes(block[..8].try_into().unwrap())
    };
    bytes.chunks(BLOCK_LEN).map(value).collect()
}

fn create(files: &dyn FileSystem, name: &str, durable: bool) -> Result<InodeNumber> {
    let (new, initial) = (NewObject::Regular { exclusive: None }, AttributeChange::default());
    let created = files.create(&context(durable), InodeNumber::ROOT, name.as_bytes(), &new, 0o644, &initial)?;
    Ok(created.object.inode)
}

/// All blocks of the files of a head, snapshot or clone.
fn read_all(files: &dyn FileSystem) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for file in 0..FILES {
        values.extend(read(files, file, 0, BLOCKS)?);
    }
    Ok(values)
}

fn read(files: &dyn FileSystem, file: usize, first: usize, count: usize) -> Result<Vec<Value>> {
    let mut bytes = vec![0; count * BLOCK_LEN];
    let outcome = files.read(&context(false), inode(file), (first * BLOCK_LEN) as u64, &mut bytes)?;
    assert_eq!(outcome.length, bytes.len());
    Ok(values_of(&bytes))
}

/// Files were made in order.
fn inode(file: usize) -> InodeNumber {
    InodeNumber(InodeNumber::ROOT.0 + 1 + file as u64)
}

impl World {
    /// A pool with something in it that was opened again, so that all of that may be given back once it is overwritten.
    fn new(choices: &mut Choices) -> Self {
        let disk = Arc::new(Simulator::new());
        let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size: 1 << 20, intent_size: 256 << 10 };
        Pool::create(&(Arc::clone(&disk) as Arc<dyn Media>), &new).unwrap();
        let pool = open(&disk, Budgets::default());
        let compression = [Compression::Off, Compression::Zstd(1)][choices.below(2) as usize];
        let properties =
            Properties { block_size: BLOCK_LEN as u32, extent_size: 16 << 10, compression, ..Properties::default() };
        ["d", "e"].iter().for_each(|name| drop(pool.create_dataset(name, &properties, NOW).unwrap()));
        let values: Vec<Value> = (1..).take(FILES * BLOCKS).collect();
        let head = pool.file_system("d").unwrap();
        for file in 0..FILES {
            assert_eq!(create(&*head, &format!("f{file}"), false).unwrap(), inode(file));
            let bytes = bytes_of(&values[file * BLOCKS..][..BLOCKS]);
            head.write(&context(false), inode(file), 0, &bytes, Stability::Unstable).unwrap();
        }
        pool.close(NOW).unwrap();
        let pool = open(&disk, budgets(choices));
        let model = Mutex::new(Model { head: Registers::new(&values), ..Model::default() });
        Self { disk, pool, model, may_fail: false }
    }

    fn head(&self) -> Arc<dyn FileSystem> {
        self.pool.file_system("d").unwrap()
    }

    /// After all that was done: nothing is lost, nothing is leaked, and figures agree with what they sum up.
    fn check_at_rest(&self) {
        let head = self.head();
        let begun = self.model.lock().head.now();
        let found = read_all(&*head).unwrap();
        (0..FILES).for_each(|file| {
            let at = file * BLOCKS;
            self.model.lock().head.check(at, &found[at..at + BLOCKS], begun, "at rest");
        });
        let core = &self.pool.core;
        assert!(core.jobs.lock().is_empty(), "a verb was left behind");
        self.check_dirty();
        assert_eq!(core.epoch.oldest(), core.epoch.present(), "a pin was left behind");
        while !self.pool.reclaim_step(1000, NOW).unwrap().idle {}
        (0..3).for_each(|_| self.pool.commit(NOW).unwrap());
        assert_eq!(self.pool.verify(None, &mut |_, _| true).unwrap().damage, []);
    }

    /// What is dirty is what overlays have, and nothing after a commit.
    fn check_dirty(&self) {
        let core = &self.pool.core;
        let dirty: u64 = core.heads.lock().values().map(|head| head.present().layers.dirty_bytes()).sum();
        assert_eq!(core.dirty(), dirty, "dirty bytes are not what overlays have");
        self.pool.commit(NOW).unwrap();
        assert_eq!(core.dirty(), 0, "a commit left dirty bytes");
    }
}

/// Whatever threads do at once, each call answers as if all had been made one after the other; nobody waits for ever; and
/// whenever the power goes, what was promised is there.
#[test]
fn calls_are_as_if_one_came_after_the_other() {
    in_many_orders(1500, |mut choices| {
        let world = World::new(&mut choices);
        run(&world, &acts::some(&mut choices), &mut choices);
        world.check_at_rest();
    });
}

/// The same on a disk that fails at some time: whoever is told that it did knows nothing, and what others were promised
/// before is there all the same.
#[test]
fn a_disk_that_fails_breaks_no_promise() {
    in_many_orders(1200, |mut choices| {
        let world = World { may_fail: true, ..World::new(&mut choices) };
        match choices.below(3) {
            0 => world.disk.set_fuse(Some(choices.below(60))),
            1 => world.disk.fail_write(choices.below(30)),
            _ => world.disk.fail_flush(choices.below(12)),
        }
        run(&world, &acts::some(&mut choices), &mut choices);
        world.lose_power(&mut choices);
    });
}

/// Three threads at random work, and perhaps one that loses power at some moment.
fn run(world: &World, acts: &[acts::Act], choices: &mut Choices) {
    let own = split(choices, 3);
    thread::scope(|scope| {
        for (thread, mut own) in own.into_iter().enumerate() {
            scope.spawn(move || (0..4).for_each(|step| world.act(acts, thread, step, &mut own)));
        }
        if choices.below(2) == 0 {
            scope.spawn(|| world.lose_power(choices));
        }
    });
}
