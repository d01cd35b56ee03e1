//! A pool with a bit of everything, and what of it can be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::SlotKind;
use crate::catalog::{Compression, Properties, PropertyChange};
use crate::error::ErrorKind;
use crate::format::{InodeNumber, SegmentId, SlotId, Timestamp};
use crate::fs::{FileKind, FileSystem};
use crate::pool::world::{World, context};
use crate::reclaim::{Sources, for_each_reference};
use crate::segment::{Place, Stream};
use crate::tree::{Step, Visited, walk_all};

/// What cannot be read: by head or snapshot, path, and offset in a file (of a directory or of attributes: none).
pub type Unreadable = BTreeMap<String, BTreeSet<(String, Option<u64>)>>;

/// Bytes that something refers to.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub id: SlotId,
    pub is_node: bool,
    pub place: Place,
}

/// Two datasets, of which one has snapshots and a clone, one that is destroyed, one that is being reclaimed, and a family whose
/// common ancestors are hidden and gave up what all had lost.
pub fn world() -> World {
    let world = World::new(1);
    let small =
        Properties { block_size: 4096, extent_size: 16 << 10, compression: Compression::Off, ..Properties::default() };
    for (name, properties) in [("d", &small), ("e", &Properties::default()), ("gone", &small), ("purged", &small)] {
        world.pool.create_dataset(name, properties, world.now()).unwrap();
    }
    world.put("d", "deep/er/one", 0, 5, 300_000);
    (0..60).for_each(|number| world.put("d", &format!("many/{number}"), 0, number, 3_000));
    world.pool.snapshot(&[("d", "s1")], world.now()).unwrap();
    world.put("d", "deep/er/one", 20_000, 6, 9_000);
    world.put("d", "many/7", 0, 100, 9_000);
    world.pool.snapshot(&[("d", "s2")], world.now()).unwrap();
    world.pool.clone_snapshot("d@s1", "c", &PropertyChange::default(), world.now()).unwrap();
    world.put("c", "deep/er/one", 100_000, 8, 5_000);
    world.put("d", "deep/er/one", 40_000, 9, 50_000);
    (0..30).for_each(|number| world.put("e", &format!("small{number}"), 0, 200 + number, 20_000));
    world.put("e", "big", 0, 4, 250_000);
    world.put("e", "again", 0, 4, 250_000);
    world.put("gone", "f", 0, 300, 50_000);
    sifted_family(&world, &small);
    (0..200).for_each(|number| world.put("purged", &format!("f{number}"), 0, 400 + number, 5_000));
    world.pool.destroy("purged", false, Timestamp::default()).unwrap();
    world.pool.purge(Timestamp { seconds: 1, nanoseconds: 0 }, world.now()).unwrap();
    world.pool.destroy("gone", false, world.now()).unwrap();
    world.pool.reclaim_step(100, world.now()).unwrap();
    // What is checked is the last commit, and the present is compared with it.
    world.pool.commit(world.now()).unwrap();
    world
}

fn sifted_family(world: &World, properties: &Properties) {
    let clone = |of: &str, name| {
        world.pool.clone_snapshot(of, name, &PropertyChange::default(), world.now()).unwrap();
    };
    let file = |dataset: &str, number: u64, version| {
        world.put(dataset, &format!("d{}/f{number}", number / 8), 0, version, 9_000)
    };
    world.pool.create_dataset("f", properties, world.now()).unwrap();
    (0..64).for_each(|number| file("f", number, 2500 + number));
    world.pool.snapshot(&[("f", "top")], world.now()).unwrap();
    clone("f@top", "f1");
    clone("f@top", "f2");
    (0..8).for_each(|number| file("f1", number, 2600 + number));
    world.pool.snapshot(&[("f1", "below")], world.now()).unwrap();
    clone("f1@below", "g");
    // Each has lost what the others have, and all some of the same.
    for (dataset, lost) in [("f", 12..30), ("f1", 4..20), ("f2", 16..40), ("g", 16..24)] {
        lost.for_each(|number| file(dataset, number, 2700 + number));
    }
    for snapshot in ["f@top", "f1@below"] {
        world.pool.destroy(snapshot, false, Timestamp::default()).unwrap();
    }
    world.pool.purge(Timestamp { seconds: 1, nanoseconds: 0 }, world.now()).unwrap();
    world.commit();
    let before = world.pool.space().unwrap().live;
    world.settle();
    assert!(world.pool.space().unwrap().live < before, "nothing was lost by all");
    file("f2", 50, 2800);
    world.commit();
}

/// Tries to read every file of every dataset and snapshot, from the disk.
pub fn unreadable(world: &World) -> Unreadable {
    world.core().store.clear_caches();
    let mut unreadable = Unreadable::new();
    for name in [world.datasets(), world.snapshots()].concat() {
        let files = world.pool.file_system(&name).unwrap();
        let mut failed = BTreeSet::new();
        read_directory(&*files, InodeNumber::ROOT, "", &mut failed);
        if !failed.is_empty() {
            unreadable.insert(name, failed);
        }
    }
    unreadable
}

fn read_directory(
    files: &dyn FileSystem,
    directory: InodeNumber,
    path: &str,
    failed: &mut BTreeSet<(String, Option<u64>)>,
) {
    let mut fail = |path: &str, offset, error: crate::error::Error| {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        failed.insert((if path.is_empty() { "/".to_owned() } else { path.to_owned() }, offset));
    };
    let page = match files.read_directory(&context(), directory, 0, 10_000) {
        Ok(page) => page,
        Err(error) => return fail(path, None, error),
    };
    let mut below = Vec::new();
    for entry in page.entries {
        let path = format!("{path}/{}", String::from_utf8(entry.name).unwrap());
        let size = match files.attributes(entry.inode) {
            Ok(attributes) => attributes.size,
            Err(error) => {
                fail(&path, None, error);
                continue;
            }
        };
        if entry.kind == FileKind::Directory {
            below.push((entry.inode, path));
            continue;
        }
        for offset in (0..size).step_by(files.block_size() as usize) {
            let mut block = vec![0; files.block_size() as usize];
            if let Err(error) = files.read(&context(), entry.inode, offset, &mut block) {
                fail(&path, Some(offset), error);
            }
        }
    }
    below.into_iter().for_each(|(inode, path)| read_directory(files, inode, &path, failed));
}

/// Everything that something refers to, by whatever dataset or the pool's own tree.
pub fn pieces(world: &World) -> Vec<Piece> {
    let core = world.core();
    let view = core.committed_view().unwrap();
    let mut ids = BTreeSet::new();
    let sources = Sources { nodes: &*core.store, system: &view.roots.system };
    let found = for_each_reference(&view.catalog, sources, &mut |_, dead| {
        ids.insert(dead.id);
        Ok(())
    });
    found.unwrap();
    walk_all(&*core.store, &view.roots.system, &mut |visited| {
        if let Visited::Node { pointer, .. } = visited {
            ids.insert(pointer.id);
        }
        Step::Into
    });
    let piece = |id: SlotId| {
        let slot = core.store.account().lookup(id).unwrap().unwrap();
        Piece { id, is_node: slot.kind == SlotKind::Node, place: slot.place }
    };
    ids.into_iter().map(piece).collect()
}

/// The name of a segment's file.
pub fn file_of(world: &World, segment: SegmentId) -> String {
    match world.core().store.account().segments().stream_of(segment).unwrap() {
        Stream::Data => format!("data-{:010x}", segment.0),
        Stream::Node => format!("node-{:010x}", segment.0),
    }
}

/// Of each dataset the head, or else the newest snapshot, of those that `has` holds for.
pub fn best(world: &World, has: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut best = BTreeSet::new();
    for dataset in world.datasets() {
        let snapshots = world.snapshots().into_iter().rev().filter(|name| name.starts_with(&format!("{dataset}@")));
        best.extend([dataset.clone()].into_iter().chain(snapshots).find(|name| has(name)));
    }
    best
}
