//! What a comparison reads depends on the difference, not on the trees.

use crate::format::InodeNumber;
use crate::fs::{AttributeChange, FileSystem, NewObject, Stability};
use crate::pool::diff::tests::world::{at, diff, new_pool, root};
use crate::pool::{DifferenceKind, Pool};

const DIRECTORIES: usize = 100;
const FILES_EACH: usize = 1000;
/// Nodes that a small difference may cost: trees are three levels high here.
const NODES_MAX: u64 = 40;
const BIG_LEN: u64 = 256 << 20;

fn create(files: &dyn FileSystem, directory: InodeNumber, name: &str, object: &NewObject) -> InodeNumber {
    let initial = AttributeChange::default();
    files.create(&root(1), directory, name.as_bytes(), object, 0o755, &initial).unwrap().object.inode
}

fn find(files: &dyn FileSystem, path: &str) -> InodeNumber {
    path.split('/').fold(InodeNumber::ROOT, |at, name| files.lookup(&root(1), at, name.as_bytes()).unwrap().inode)
}

/// A dataset of 100,000 files and a big one.
fn large_pool() -> Pool {
    let pool = new_pool(16 << 20);
    let files = pool.file_system("d").unwrap();
    let regular = NewObject::Regular { exclusive: None };
    for directory in 0..DIRECTORIES {
        let inode = create(&*files, InodeNumber::ROOT, &format!("d{directory}"), &NewObject::Directory);
        for file in 0..FILES_EACH {
            create(&*files, inode, &format!("f{file}"), &regular);
        }
        pool.commit(at(1)).unwrap();
    }
    let big = create(&*files, InodeNumber::ROOT, "big", &regular);
    for offset in (0..BIG_LEN).step_by(4096) {
        files.write(&root(1), big, offset, &offset.to_le_bytes(), Stability::Unstable).unwrap();
        if pool.commit_due() {
            pool.commit(at(1)).unwrap();
        }
    }
    pool
}

/// What is done, and what is then told.
type Case = (&'static str, fn(&dyn FileSystem), (DifferenceKind, u64));

const CASES: [Case; 6] = [
    (
        "write",
        |files| {
            files.write(&root(2), find(files, "d50/f500"), 0, b"x", Stability::Unstable).unwrap();
        },
        (DifferenceKind::Modified, 4096),
    ),
    (
        "write in the middle",
        |files| {
            files.write(&root(2), find(files, "big"), BIG_LEN / 2, b"x", Stability::Unstable).unwrap();
        },
        (DifferenceKind::Modified, 4096),
    ),
    (
        "rename a directory",
        |files| {
            files.rename(&root(2), InodeNumber::ROOT, b"d7", find(files, "d8"), b"moved").unwrap();
        },
        (DifferenceKind::Renamed, 0),
    ),
    (
        "create",
        |files| {
            create(files, find(files, "d9"), "new", &NewObject::Directory);
        },
        (DifferenceKind::Added, 0),
    ),
    (
        "remove",
        |files| {
            files.remove(&root(2), find(files, "d9"), b"f1").unwrap();
        },
        (DifferenceKind::Removed, 0),
    ),
    (
        "link",
        |files| {
            files.link(&root(2), find(files, "d9/f2"), find(files, "d10"), b"linked").unwrap();
        },
        (DifferenceKind::Added, 0),
    ),
];

#[test]
fn small_differences_of_large_trees_are_cheap() {
    let pool = large_pool();
    let files = pool.file_system("d").unwrap();
    for (number, (what, act, expected)) in CASES.into_iter().enumerate() {
        let snapshot = format!("s{number}");
        pool.snapshot(&[("d", &snapshot)], at(2)).unwrap();
        act(&*files);
        pool.commit(at(3)).unwrap();
        let reads = || pool.counters().node_hits + pool.counters().node_misses;
        let before = reads();
        let found = diff(&pool, &format!("d@{snapshot}"), "d").unwrap();
        let read = reads() - before;
        let told: Vec<_> = found.iter().map(|found| (found.kind, found.changed_bytes)).collect();
        assert_eq!(told, [expected], "{what}: {found:?}");
        assert!(read < NODES_MAX, "{what}: {read} nodes were read");
    }
}
