//! What single edits and commits do, and do not do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use crate::account::SlotKind;
use crate::content::tests::{FILE, new_store, store_on};
use crate::content::write_back::WriteBack;
use crate::content::{Edit, Items, ItemsMut, Layers, RUN_KIND, WrittenBack, allocated_key, write_back};
use crate::error::{ErrorKind, Result};
use crate::executor::{Executor, Inline};
use crate::extent::{Header, Origin};
use crate::format::{Birth, DatasetId, InodeNumber, SlotId};
use crate::media::{Choices, Simulator};
use crate::store::{CommitWriter, Store};
use crate::tree::{self, Key, Root};

const HOW: WriteBack = WriteBack {
    dataset: DatasetId(3),
    block_len: 4096,
    extent_len: 32768,
    level: Some(1),
    hurried: false,
    birth: Birth(1),
    privileged: false,
    dedup: false,
};

fn empty(store: Arc<Store>) -> Layers {
    Layers::new(store, HOW.block_len, Root::EMPTY)
}

fn edit(layers: &Layers, change: impl FnOnce(&mut Edit<'_>) -> Result<()>) {
    let mut edit = Edit::new(layers, true);
    change(&mut edit).unwrap();
    edit.finish();
}

/// Freezes, writes back and installs.
fn commit(layers: &mut Layers, birth: u64) -> WrittenBack {
    assert!(layers.freeze());
    let how = WriteBack { birth: Birth(birth), ..HOW };
    let store = Arc::clone(layers.store());
    let written = write_back(&store, layers.root(), &layers.frozen().unwrap().read(), &how).unwrap();
    let writer = CommitWriter::new(&store, how.birth);
    let applied = tree::apply(&writer, layers.root(), written.edits.clone(), how.birth, &mut Vec::new()).unwrap();
    layers.install(applied.root);
    written
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut choices = Choices::new(seed);
    (0..length).map(|_| 1 + choices.below(255) as u8).collect()
}

#[test]
fn what_equals_the_tree_is_not_written() {
    let mut layers = empty(new_store());
    let bytes = noise(20 * 4096, 1);
    edit(&layers, |edit| edit.write(FILE, 0, &bytes));
    let first = commit(&mut layers, 1);
    assert_eq!((first.plain_bytes, first.allocated_change), (20 * 4096, 20 * 4096));
    let root = *layers.root();
    edit(&layers, |edit| edit.write(FILE, 0, &bytes));
    // Away and back again, within one overlay.
    edit(&layers, |edit| edit.punch(FILE, 4096, 3 * 4096));
    edit(&layers, |edit| edit.write(FILE, 4096, &bytes[4096..3 * 4096]));
    assert_eq!(commit(&mut layers, 2), WrittenBack::default());
    assert_eq!(*layers.root(), root);
    edit(&layers, |edit| edit.write(FILE, 5 * 4096, b"other"));
    let third = commit(&mut layers, 3);
    assert_eq!((third.plain_bytes, third.allocated_change, third.edits.len()), (4096, 0, 1));
}

#[test]
fn a_stream_that_is_stored_already_becomes_pointers() {
    let store = new_store();
    let bytes = noise(300 * 4096, 1);
    let mut first = empty(Arc::clone(&store));
    edit(&first, |edit| edit.write(FILE, 0, &bytes));
    commit(&mut first, 1);
    store.account().commit(Birth(1), Birth(1), None).unwrap();
    let mut copy = empty(Arc::clone(&store));
    edit(&copy, |edit| edit.write(FILE, 4096, &bytes));
    assert!(copy.freeze());
    let how = WriteBack { birth: Birth(2), dedup: true, ..HOW };
    let written = write_back(&store, copy.root(), &copy.frozen().unwrap().read(), &how).unwrap();
    assert_eq!((written.plain_bytes, written.deduplicated_bytes), (0, 300 * 4096));
    let writer = CommitWriter::new(&store, how.birth);
    copy.install(tree::apply(&writer, copy.root(), written.edits, how.birth, &mut Vec::new()).unwrap().root);
    let mut read = vec![0; bytes.len()];
    copy.read(FILE, 4096, &mut read).unwrap();
    assert!(read == bytes, "the copy reads otherwise");
    // Random writes are not looked up, whatever they write.
    edit(&copy, |edit| edit.write(FILE, 100 * 4096, &bytes[..4096]));
    assert!(copy.freeze());
    let how = WriteBack { birth: Birth(3), ..how };
    let written = write_back(&store, copy.root(), &copy.frozen().unwrap().read(), &how).unwrap();
    assert_eq!((written.plain_bytes, written.deduplicated_bytes), (4096, 0));
}

#[test]
fn what_saves_little_gives_way_to_writers_who_wait() {
    // Two thirds of it nothing compresses, and the rest is common words.
    let mut bytes = noise(100 * 32768, 1);
    for (number, words) in bytes.chunks_exact_mut(96).enumerate() {
        let word = [b"select * from accounts where a = ", b"insert into history values (1, 2)"][number % 5 / 3];
        words[..32].copy_from_slice(&word[..32]);
    }
    let stored = |bytes: &[u8], hurried, level| {
        let store = new_store();
        let mut layers = empty(Arc::clone(&store));
        edit(&layers, |edit| edit.write(FILE, 0, bytes));
        assert!(layers.freeze());
        let how = WriteBack { hurried, level, ..HOW };
        let written = write_back(&store, layers.root(), &layers.frozen().unwrap().read(), &how).unwrap();
        let writer = CommitWriter::new(&store, how.birth);
        layers.install(tree::apply(&writer, layers.root(), written.edits, how.birth, &mut Vec::new()).unwrap().root);
        let mut read = vec![0; bytes.len()];
        layers.read(FILE, 0, &mut read).unwrap();
        assert!(read == bytes, "it reads otherwise");
        store.account().totals().appended
    };
    let (calm, hurried) = (stored(&bytes, false, Some(1)), stored(&bytes, true, Some(1)));
    assert!(calm < hurried, "{hurried} bytes where writers wait, and {calm} where none does");
    assert_eq!(stored(&bytes, true, Some(2)), stored(&bytes, false, Some(2)), "what was asked for gave way");
    bytes.iter_mut().for_each(|byte| *byte %= 4);
    assert_eq!(stored(&bytes, true, Some(1)), stored(&bytes, false, Some(1)), "what pays gave way");
}

/// Runs each job on a thread of its own, in no order.
struct Threads;

impl Executor for Threads {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        thread::scope(|scope| (0..count).rev().for_each(|number| drop(scope.spawn(move || job(number)))));
    }
}

#[test]
fn parallel_and_inline_write_the_same() {
    let written = |executor: Arc<dyn Executor>| {
        let mut layers = empty(store_on(&Arc::new(Simulator::new()), executor));
        for (inode, length) in (1..40).map(|inode| (InodeNumber(inode), 1 + inode as usize * 9000 % 70_000)) {
            edit(&layers, |edit| edit.write(inode, 0, &noise(length, inode.0)));
        }
        // More than one batch.
        edit(&layers, |edit| edit.write(FILE, 1 << 40, &noise(9 << 20, 7)));
        let written = commit(&mut layers, 1);
        assert!(layers.store().block_cache().used > 0);
        (written, *layers.root())
    };
    let (inline, parallel) = (written(Arc::new(Inline)), written(Arc::new(Threads)));
    assert_eq!(inline, parallel);
}

#[test]
fn what_an_error_leaves_behind_is_freed() {
    let disk = Arc::new(Simulator::new());
    let mut layers = empty(store_on(&disk, Arc::new(Inline)));
    edit(&layers, |edit| edit.write(FILE, 0, &noise(11 << 20, 1)));
    layers.freeze();
    disk.set_capacity(Some(10 << 20));
    let frozen = Arc::clone(layers.frozen().unwrap());
    let full = write_back(layers.store(), layers.root(), &frozen.read(), &HOW).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoSpace);
    let account = layers.store().account();
    assert!(account.segments().appended_len() > 0, "it got somewhere");
    disk.set_capacity(None);
    account.hurry();
    account.commit(HOW.birth, HOW.birth, None).unwrap();
    account.for_each_slot(&mut |found| assert_eq!(found.slot.kind, SlotKind::Node, "an extent is left")).unwrap();
    let again = WriteBack { birth: Birth(2), ..HOW };
    let written = write_back(layers.store(), layers.root(), &frozen.read(), &again).unwrap();
    assert_eq!(written.plain_bytes, 11 << 20);
}

/// However large a file is, erasing it or cutting it near its start or end reads few nodes.
#[test]
fn cutting_a_large_file_is_cheap() {
    let mut layers = empty(new_store());
    let length = 6000 * 4096u64;
    edit(&layers, |edit| edit.write(FILE, 0, &noise(length as usize, 1)));
    commit(&mut layers, 1);
    assert!(layers.root().height > 1);
    for (first, left) in [(0, 0), (1, 1), (9 * 4096, 9), (length - 9 * 4096, 6000 - 9)] {
        let nodes = |layers: &Layers| layers.store().node_cache().hits + layers.store().node_cache().misses;
        let before = nodes(&layers);
        let mut edit = Edit::new(&layers, true);
        edit.punch(FILE, first, 1 << 63).unwrap();
        assert!(nodes(&layers) - before < 20, "{} nodes", nodes(&layers) - before);
        assert_eq!(edit.allocated(FILE).unwrap(), left * 4096);
    }
    edit(&layers, |edit| edit.punch(FILE, 0, u64::MAX));
    let written = commit(&mut layers, 2);
    assert_eq!((written.edits.len(), *layers.root()), (2, Root::EMPTY));
}

#[test]
fn no_lock_is_held_while_a_caller_looks() {
    let mut layers = empty(new_store());
    let put = |layers: &Layers, position| edit(layers, |edit| edit.put(Key::new(1, 1, position), vec![1]));
    put(&layers, 1);
    layers.freeze();
    put(&layers, 2);
    let mut found = 0;
    let look = &mut |_, _: &[u8]| {
        found += 1;
        layers.overlays().all(|overlay| overlay.try_write().is_some())
    };
    layers.scan(Key::MIN, Key::MAX, look).unwrap();
    assert_eq!(found, 2);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut layers = empty(new_store());
    let mut new = Edit::new(&layers, false);
    let kind = |result: Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(new.write(FILE, (1 << 63) - 1, b"ab")), ErrorKind::TooLarge);
    assert_eq!(kind(new.write(FILE, u64::MAX, b"ab")), ErrorKind::TooLarge);
    assert_eq!(kind(new.put(Key::MIN, vec![0; 1025])), ErrorKind::Invalid);
    for (first, end) in [(0, 0), (9, 5), (1 << 63, u64::MAX), (u64::MAX, u64::MAX)] {
        new.punch(FILE, first, end).unwrap();
    }
    let mut buffer = [1; 10];
    new.read(FILE, u64::MAX - 3, &mut buffer).unwrap();
    assert_eq!(buffer, [0; 10]);
    assert_eq!(new.seek(FILE, u64::MAX - 3, u64::MAX, false).unwrap(), Some(u64::MAX - 3));
    new.write(FILE, 0, &[]).unwrap();
    new.finish();
    assert!(!layers.is_dirty() && !layers.freeze() && layers.dirty_bytes() == 0);
    // A count that its blocks contradict.
    let writer = CommitWriter::new(layers.store(), Birth(1));
    let wrong = vec![tree::Edit::Put(allocated_key(FILE), vec![1])];
    let root = tree::apply(&writer, layers.root(), wrong, Birth(1), &mut Vec::new()).unwrap().root;
    layers.install(root);
    assert_eq!(layers.allocated(FILE).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Small files and tails share extents with their neighbours, and no file is cut for that.
#[test]
fn small_files_are_packed() {
    let mut layers = empty(new_store());
    let lengths = [1, 8, 2, 2, 9, 4, 3, 17, 1];
    for (inode, blocks) in (1..).zip(lengths) {
        edit(&layers, |edit| edit.write(InodeNumber(inode), 0, &noise(blocks * 4096, inode)));
    }
    let written = commit(&mut layers, 1);
    let mut extents: BTreeMap<SlotId, Vec<(u64, u64, usize)>> = BTreeMap::new();
    for change in written.edits {
        if let tree::Edit::Run(key, run) = change {
            let pieces = extents.entry(run.id).or_default();
            let before: usize = pieces.iter().map(|(_, _, blocks)| blocks).sum();
            assert_eq!((key.kind, usize::from(run.first)), (RUN_KIND, before));
            pieces.push((key.object, key.position, run.hashes.len()));
        }
    }
    for (id, pieces) in &extents {
        let mut bytes = Vec::new();
        layers.store().account().read_extent(*id, &mut bytes).unwrap();
        let (inode, first_block) = (InodeNumber(pieces[0].0), pieces[0].1);
        let origin = Origin { dataset: HOW.dataset, inode, first_block };
        assert_eq!(Header::decode(&bytes).unwrap().origin, origin, "cleaning sorts by it");
    }
    for (inode, blocks) in (1..).zip(lengths) {
        let mut buffer = vec![0; blocks * 4096];
        layers.read(InodeNumber(inode), 0, &mut buffer).unwrap();
        assert_eq!(buffer, noise(blocks * 4096, inode));
    }
    assert_eq!(layers.store().block_cache().misses, 0, "what was just written is cached");
    let mut extents: Vec<_> = extents.into_values().collect();
    extents.sort_unstable();
    let expected = [
        vec![(1, 0, 1), (3, 0, 2), (4, 0, 2), (5, 8, 1)],
        vec![(2, 0, 8)],
        vec![(5, 0, 8)],
        vec![(6, 0, 4), (7, 0, 3), (8, 16, 1)],
        vec![(8, 0, 8)],
        vec![(8, 8, 8)],
        vec![(9, 0, 1)],
    ];
    assert_eq!(extents, expected);
}
