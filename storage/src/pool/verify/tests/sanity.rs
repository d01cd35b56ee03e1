//! Items that do not fit each other are told, whether all of a tree is looked at or what differs from a sound one.

use std::collections::BTreeSet;

use crate::catalog::{Holder, Properties, PropertyChange};
use crate::content::ALLOCATED_KIND;
use crate::format::{DatasetId, InodeNumber};
use crate::fs::layout::*;
use crate::fs::{AttributeChange, NewObject, XattrMode};
use crate::pool::world::{World, context, make};
use crate::scrub::Damage;
use crate::store::CommitWriter;
use crate::tree::{Edit, ItemRef, Key, Reader, Root, apply};

const BLOCK_LEN: u32 = 4096;

/// Where numbers are in an inode's item.
const LINKS: usize = 4;
const SIZE: usize = 16;
const HOME_DIRECTORY: usize = 40;
const HOME_POSITION: usize = 48;
const XATTR_NAMES: usize = 104;

/// A dataset with a bit of everything.
struct Tree {
    world: World,
    dataset: DatasetId,
    file: InodeNumber,
    symlink: InodeNumber,
    upper: InodeNumber,
    lower: InodeNumber,
    orphan: InodeNumber,
}

/// What is done to a tree, and what is told of which path.
struct Case {
    edits: Vec<Edit>,
    expected: Vec<(&'static str, &'static str)>,
}

impl Tree {
    fn new() -> Self {
        let world = World::new(1);
        let properties = Properties { block_size: BLOCK_LEN, ..Properties::default() };
        let dataset = world.pool.create_dataset("d", &properties, world.now()).unwrap().id;
        let file = world.try_put("d", "a/file", 0, 5, 20_000).unwrap();
        (0..300).for_each(|number| world.put("d", &format!("many/{number}"), 0, number, 100));
        let files = world.pool.file_system("d").unwrap();
        let a = files.lookup(&context(), InodeNumber::ROOT, b"a").unwrap().inode;
        files.link(&context(), file, a, b"link").unwrap();
        let symlink = make(&*files, a, "symlink", NewObject::Symlink(vec![b't'; 2000]));
        files.set_xattr(&context(), file, b"user.x", &[7; 3000], XattrMode::Any).unwrap();
        let upper = make(&*files, InodeNumber::ROOT, "upper", NewObject::Directory);
        let lower = make(&*files, upper, "lower", NewObject::Directory);
        let orphan = make(&*files, a, "gone", NewObject::Regular { exclusive: None });
        files.retain(orphan).unwrap();
        files.remove(&context(), a, b"gone").unwrap();
        let cut = AttributeChange { size: Some(19_000), ..AttributeChange::default() };
        files.set_attributes(&context(), file, &cut, None).unwrap();
        world.commit();
        // Expected texts have these.
        assert_eq!([file.0, upper.0, lower.0, orphan.0], [3, 306, 307, 308]);
        Self { world, dataset, file, symlink, upper, lower, orphan }
    }

    fn root(&self) -> Root {
        self.world.core().catalog.read().state(Holder::Head(self.dataset)).unwrap().root
    }

    fn value(&self, key: Key) -> Vec<u8> {
        Reader::new(&*self.world.core().store, self.root()).get(key).unwrap().unwrap()
    }

    /// The keys of an object's kind.
    fn keys(&self, inode: InodeNumber, kind: u8) -> Vec<Key> {
        let mut keys = Vec::new();
        let (first, last) = (Key::new(inode.0, kind, 0), Key::new(inode.0, kind, u64::MAX));
        let reader = Reader::new(&*self.world.core().store, self.root());
        let all = reader.scan(first, last, &mut |key, item| {
            if let ItemRef::Bytes(_) = item {
                keys.push(key);
            }
            true
        });
        all.unwrap();
        keys
    }

    /// An inode with another number in its item.
    fn inode(&self, inode: InodeNumber, changes: &[(usize, i64)]) -> Edit {
        let mut value = self.value(inode_key(inode));
        for (at, change) in changes {
            match *at {
                LINKS | XATTR_NAMES => {
                    let number = u32::from_le_bytes(*value[*at..].first_chunk().unwrap());
                    value[*at..at + 4].copy_from_slice(&number.wrapping_add_signed(*change as i32).to_le_bytes());
                }
                _ => {
                    let number = u64::from_le_bytes(*value[*at..].first_chunk().unwrap());
                    value[*at..at + 8].copy_from_slice(&number.wrapping_add_signed(*change).to_le_bytes());
                }
            }
        }
        Edit::Put(inode_key(inode), value)
    }

    fn home(&self, inode: InodeNumber) -> Key {
        let value = self.value(inode_key(inode));
        let number = |at: usize| u64::from_le_bytes(*value[at..].first_chunk().unwrap());
        entry_key(InodeNumber(number(HOME_DIRECTORY)), number(HOME_POSITION))
    }

    fn changed(&self, key: Key, at: usize, byte: u8) -> Edit {
        let mut value = self.value(key);
        value[at] = byte;
        Edit::Put(key, value)
    }

    fn cut_off(&self, key: Key) -> Edit {
        let mut value = self.value(key);
        value.pop();
        Edit::Put(key, value)
    }

    /// Puts edits into the head that no call of a file system makes.
    fn damage(&self, edits: Vec<Edit>) {
        let dataset = self.dataset;
        let done = self.world.core().submit(Vec::new(), self.world.now(), move |change| {
            let mut state = *change.catalog.state(Holder::Head(dataset))?;
            let (account, birth) = (change.core.store.account(), change.birth);
            let mut dead = Vec::new();
            let writer = CommitWriter::new(&change.core.store, birth);
            state.root = apply(&writer, &state.root, edits, birth, &mut dead)?.root;
            change.catalog.set_head(dataset, state)?;
            let mut free = |dead: &crate::tree::Dead| account.free(birth, dead.id, dead.first, dead.count);
            change.catalog.retire(dataset, &dead, &mut free)
        });
        done.unwrap();
    }

    fn verify(&self, of: Option<&str>, window_len: usize) -> BTreeSet<Damage> {
        let report = self.world.core().verify_by_windows(of, window_len, &mut |_, _| true).unwrap();
        // Of two names, either will do.
        let either = |path: String| if path == "/a/link" { "/a/file".to_owned() } else { path };
        report.damage.into_iter().map(|damage| Damage { path: damage.path.map(either), ..damage }).collect()
    }
}

fn names(tree: &Tree) -> Vec<Case> {
    let (file, orphan) = (tree.file, tree.orphan);
    let (home, further) = (tree.home(file), tree.keys(file, NAME_KIND)[0]);
    let nobody = InodeNumber(987_654);
    let nobodys = entry_key(nobody, home.position);
    let not_there = "it ought to have a name in directory 2, and has none there";
    let size = "its size tells of 3 names in it, and it has 2";
    let case = |edits, expected: &[(&'static str, &'static str)]| Case { edits, expected: expected.to_vec() };
    vec![
        case(
            vec![Edit::Delete(inode_key(orphan))],
            &[("inode 308", "inode 308 is among the orphans, and does not exist")],
        ),
        case(vec![Edit::Delete(orphan_key(orphan))], &[("inode 308", "it has no name, and is not among the orphans")]),
        case(vec![Edit::Put(orphan_key(file), vec![1])], &[("/a/file", "it is among the orphans, and has names")]),
        case(vec![Edit::Delete(home)], &[("/a", size), ("/a/file", not_there)]),
        case(vec![tree.changed(home, 1, 4)], &[("/a/file", "its name in directory 2 says that it is a BlockDevice")]),
        case(
            vec![Edit::Delete(further)],
            &[
                ("/a/file", "its links tell of 1 further names, and it knows of 0"),
                ("/a/file", "it has a name in directory 2 that it does not know of"),
            ],
        ),
        case(
            vec![tree.inode(file, &[(LINKS, 1)])],
            &[("/a/file", "its links tell of 2 further names, and it knows of 1")],
        ),
        case(
            vec![Edit::Put(nobodys, tree.value(home))],
            &[
                ("inode 987654", "something is stored of an inode that does not exist"),
                ("/a/file", "it has a name in directory 987654 that it does not know of"),
            ],
        ),
        case(
            vec![Edit::DeleteRange(Key::new(file.0, 0, 0), Key::new(file.0, u8::MAX, u64::MAX))],
            &[("/a/file", "the name leads to inode 3, which does not exist")],
        ),
        case(
            vec![Edit::Delete(inode_key(tree.upper))],
            &[
                ("/upper", "something is stored of an inode that does not exist"),
                ("/upper", "the name leads to inode 306, which does not exist"),
            ],
        ),
    ]
}

fn sizes(tree: &Tree) -> Vec<Case> {
    let (file, symlink, upper) = (tree.file, tree.symlink, tree.upper);
    let allocated = Key::new(file.0, ALLOCATED_KIND, 0);
    let case = |edits, expected: &[(&'static str, &'static str)]| Case { edits, expected: expected.to_vec() };
    vec![
        case(vec![tree.inode(file, &[(SIZE, -3_000)])], &[("/a/file", "it has 16000 bytes, and blocks behind them")]),
        case(
            vec![Edit::Put(allocated, 16_384_u64.to_le_bytes().to_vec())],
            &[("/a/file", "its blocks have 20480 bytes, and it counts 16384")],
        ),
        case(vec![tree.inode(upper, &[(SIZE, 64)])], &[("/upper", "its size tells of 3 names in it, and it has 1")]),
        case(
            vec![tree.inode(upper, &[(LINKS, -1)])],
            &[("/upper", "its links tell of 0 directories in it, and it has 1")],
        ),
        case(vec![tree.inode(upper, &[(SIZE, 7)])], &[("/upper", "39 bytes are no size of a directory")]),
        case(
            vec![tree.cut_off(target_key(symlink, 1))],
            &[("/a/symlink", "its target has 2000 bytes, of which 1999 are there")],
        ),
        case(
            vec![tree.inode(file, &[(XATTR_NAMES, 5)])],
            &[("/a/file", "it counts 12 bytes of names of attributes, and has 7")],
        ),
        case(
            vec![tree.cut_off(tree.keys(file, XATTR_CHUNK_KIND)[1])],
            &[("/a/file", "its attributes should lack 0 bytes, and lack 1")],
        ),
        case(
            vec![tree.changed(inode_key(file), 1, 6)],
            &[
                ("/a/file", "it has blocks, and is no file"),
                ("/a/file", "its name in directory 2 says that it is a Regular"),
            ],
        ),
        case(
            vec![Edit::Put(Key::new(file.0, 99, 1), vec![1])],
            &[("/a/file", "an item cannot be read: the field kind of an item has an impossible value")],
        ),
    ]
}

/// A file that goes without its blocks.
fn leftovers(tree: &Tree) -> Case {
    let (many, gone) = (InodeNumber(4), InodeNumber(10));
    Case {
        edits: vec![
            Edit::Delete(tree.home(gone)),
            Edit::Delete(inode_key(gone)),
            Edit::Delete(Key::new(gone.0, ALLOCATED_KIND, 0)),
            tree.inode(many, &[(SIZE, -32)]),
        ],
        expected: vec![("inode 10", "something is stored of an inode that does not exist")],
    }
}

/// A directory that is moved below its own subdirectory.
fn circle(tree: &Tree) -> Case {
    let (upper, lower, home) = (tree.upper, tree.lower, tree.home(tree.upper));
    let to = entry_key(lower, home.position);
    let moved = [(HOME_DIRECTORY, lower.0 as i64 - InodeNumber::ROOT.0 as i64)];
    let problem = "it lies within itself, and nobody comes there from the root";
    Case {
        edits: vec![
            Edit::Delete(home),
            Edit::Put(to, tree.value(home)),
            tree.inode(upper, &moved),
            tree.inode(InodeNumber::ROOT, &[(SIZE, -32), (LINKS, -1)]),
            tree.inode(lower, &[(SIZE, 32), (LINKS, 1)]),
        ],
        expected: vec![("inode 306", problem), ("inode 307", problem)],
    }
}

fn cases(tree: &Tree) -> Vec<Case> {
    let mut cases = names(tree);
    cases.extend(sizes(tree));
    cases.extend([circle(tree), leftovers(tree)]);
    cases
}

#[test]
fn items_that_do_not_fit_are_told() {
    let count = cases(&Tree::new()).len();
    for number in 0..count {
        for has_base in [false, true] {
            let tree = Tree::new();
            let Case { edits, expected } = cases(&tree).swap_remove(number);
            if has_base {
                tree.world.pool.snapshot(&[("d", "sound")], tree.world.now()).unwrap();
            }
            assert_eq!(tree.verify(None, 1 << 20), BTreeSet::new());
            tree.damage(edits);
            // What came from it has the same, which did not change since.
            tree.world.pool.snapshot(&[("d", "unsound")], tree.world.now()).unwrap();
            tree.world.pool.clone_snapshot("d@unsound", "clone", &PropertyChange::default(), tree.world.now()).unwrap();
            let told = |dataset: &'static str| {
                let damage = |(path, problem): &(&str, &str)| Damage {
                    dataset: Some(dataset.to_owned()),
                    path: Some((*path).to_owned()),
                    offset: None,
                    problem: (*problem).to_owned(),
                };
                expected.iter().map(damage).collect::<BTreeSet<_>>()
            };
            let both: BTreeSet<_> = ["d", "clone"].into_iter().flat_map(told).collect();
            assert_eq!(tree.verify(None, 1 << 20), both, "case {number}, {has_base}");
            assert_eq!(tree.verify(Some("d"), 1 << 20), told("d"), "case {number}, {has_base}");
            // In many windows.
            assert_eq!(tree.verify(Some("d"), 640), told("d"), "case {number}, {has_base}");
            if has_base {
                assert_eq!(tree.verify(Some("d@sound"), 640), BTreeSet::new());
            }
        }
    }
}
