//! All that a state has, by path, and what differences between two states have to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::{InodeNumber, Timestamp};
use crate::fs::{Attributes, FileKind, FileSystem};
use crate::pool::diff::tests::world::root;
use crate::pool::{Difference, DifferenceKind};

pub const BLOCK_LEN: usize = 4096;

pub type Path = Vec<u8>;

/// What a path names.
#[derive(Clone, Debug)]
pub struct Entry {
    attributes: Attributes,
    bytes: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// All paths of a state.
pub type Listing = BTreeMap<Path, Entry>;

impl Entry {
    /// No two files are created at one moment.
    fn identity(&self) -> (InodeNumber, Timestamp) {
        (self.attributes.inode, self.attributes.created)
    }

    /// Whether a user sees no difference.
    fn is_like(&self, other: &Self) -> bool {
        let visible = |entry: &Self| {
            let it = &entry.attributes;
            let of_files = (it.kind != FileKind::Directory).then_some((it.size, it.modified));
            (it.kind, it.mode, it.uid, it.gid, it.device, of_files)
        };
        visible(self) == visible(other) && self.bytes == other.bytes && self.xattrs == other.xattrs
    }

    fn block(&self, number: usize) -> Option<&[u8]> {
        let regular = self.attributes.kind == FileKind::Regular;
        let block = self.bytes.chunks(BLOCK_LEN).nth(number).filter(|_| regular)?;
        let length = block.iter().rposition(|byte| *byte != 0)? + 1;
        Some(&block[..length])
    }

    fn blocks_unlike(&self, other: Option<&Self>) -> u64 {
        let count = self.bytes.len().max(other.map_or(0, |other| other.bytes.len())).div_ceil(BLOCK_LEN);
        let unlike = |number: &usize| self.block(*number) != other.and_then(|other| other.block(*number));
        (0..count).filter(unlike).count() as u64 * BLOCK_LEN as u64
    }
}

/// Lists everything.
pub fn list(files: &dyn FileSystem) -> Listing {
    let mut listing = Listing::from([(b"/".to_vec(), entry(files, InodeNumber::ROOT))]);
    list_below(files, InodeNumber::ROOT, b"", &mut listing);
    listing
}

fn list_below(files: &dyn FileSystem, directory: InodeNumber, path: &[u8], listing: &mut Listing) {
    for found in files.read_directory(&root(0), directory, 0, usize::MAX).unwrap().entries {
        let path = [path, b"/", &found.name].concat();
        listing.insert(path.clone(), entry(files, found.inode));
        if found.kind == FileKind::Directory {
            list_below(files, found.inode, &path, listing);
        }
    }
}

fn entry(files: &dyn FileSystem, inode: InodeNumber) -> Entry {
    let attributes = files.attributes(inode).unwrap();
    let mut bytes = Vec::new();
    match attributes.kind {
        FileKind::Regular => {
            bytes.resize(attributes.size as usize, 0);
            files.read(&root(0), inode, 0, &mut bytes).unwrap();
        }
        FileKind::Symlink => bytes = files.read_link(&root(0), inode).unwrap(),
        _ => {}
    }
    let names = files.list_xattrs(&root(0), inode).unwrap();
    let xattrs = names.into_iter().map(|name| (name.clone(), files.xattr(&root(0), inode, &name).unwrap())).collect();
    Entry { attributes, bytes, xattrs }
}

/// Checks all that can be said of the differences of two states.
pub fn check(older: &Listing, newer: &Listing, differences: &[Difference]) {
    check_order(differences);
    let of_kind = |kind| differences.iter().filter(move |difference| difference.kind == kind);
    let removed: BTreeSet<&Path> = of_kind(DifferenceKind::Removed).map(|removed| &removed.path).collect();
    let added: BTreeSet<&Path> = of_kind(DifferenceKind::Added).map(|added| &added.path).collect();
    let renamed: BTreeMap<&Path, &Path> =
        of_kind(DifferenceKind::Renamed).map(|renamed| (renamed.from.as_ref().unwrap(), &renamed.path)).collect();
    assert!(of_kind(DifferenceKind::Renamed).count() == renamed.len(), "a name went to two places");

    // Where each path of the older state is in the newer.
    let mut moved: BTreeMap<&Path, Option<Path>> = BTreeMap::new();
    let mut carried: BTreeMap<Path, &Entry> = BTreeMap::new();
    for (path, entry) in older {
        let stays = follow(path, &moved);
        let to = match renamed.get(path) {
            Some(to) => {
                assert_ne!(stays.as_ref(), Some(*to), "{path:?} moved along with its directory");
                assert_eq!(newer[*to].identity(), entry.identity(), "{path:?} was renamed to another file");
                Some((*to).clone())
            }
            None if removed.contains(path) => {
                let replaced = stays.filter(|stays| added.contains(stays));
                let alike = replaced.filter(|at| newer[at].attributes.kind == entry.attributes.kind);
                assert!(alike.is_none(), "{:?} has something of its kind in its place", text(path));
                None
            }
            None => Some(stays.unwrap_or_else(|| panic!("{:?} is in a directory that went", text(path)))),
        };
        if let Some(to) = &to {
            assert!(carried.insert(to.clone(), entry).is_none(), "two names go to {:?}", text(to));
        }
        moved.insert(path, to);
    }
    removed.iter().for_each(|path| assert!(older.contains_key(*path), "{:?} was not there", text(path)));
    renamed.keys().for_each(|path| assert!(older.contains_key(*path), "{:?} was not there", text(path)));

    for difference in differences {
        check_one(difference, older, newer, carried.get(&difference.path).copied());
    }
    for difference in differences.iter().filter(|difference| difference.kind != DifferenceKind::Removed) {
        carried.insert(difference.path.clone(), &newer[&difference.path]);
    }
    assert!(carried.keys().eq(newer.keys()), "{:?}\n{:?}", texts(carried.keys()), texts(newer.keys()));
    let unlike = newer.iter().find(|(path, entry)| !carried[*path].is_like(entry));
    assert!(unlike.is_none(), "not told of: {:?} became {unlike:?}", unlike.map(|(path, _)| carried[path]));
    check_pairs(older, newer, differences);
}

/// Where a path is if its own name stays.
fn follow(path: &Path, moved: &BTreeMap<&Path, Option<Path>>) -> Option<Path> {
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap();
    if path == b"/" || slash == 0 {
        return Some(path.clone());
    }
    let above = moved[&path[..slash].to_vec()].as_ref()?;
    Some([above, &path[slash..]].concat())
}

fn check_order(differences: &[Difference]) {
    let key = |difference: &Difference| {
        let path: Vec<u8> = difference.path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect();
        (path, difference.kind != DifferenceKind::Removed)
    };
    assert!(differences.is_sorted_by(|one, next| key(one) < key(next)), "{differences:?}");
}

/// Checks that a difference is one, and its figure.
fn check_one(difference: &Difference, older: &Listing, newer: &Listing, carried: Option<&Entry>) {
    let Difference { kind, path, from, changed_bytes } = difference;
    let is_in = |listing: &Listing, entry: &Entry| listing.values().any(|other| other.identity() == entry.identity());
    let told = format!("{:?} {}", kind, text(path));
    assert_eq!(from.is_some(), *kind == DifferenceKind::Renamed, "{told}");
    let expected = match kind {
        DifferenceKind::Added => {
            assert!(carried.is_none(), "{told}");
            let entry = &newer[path];
            if is_in(older, entry) { 0 } else { entry.blocks_unlike(None) }
        }
        DifferenceKind::Removed => {
            let entry = &older[path];
            if is_in(newer, entry) { 0 } else { entry.blocks_unlike(None) }
        }
        DifferenceKind::Modified => {
            let (old, new) = (carried.unwrap_or_else(|| panic!("{told}")), &newer[path]);
            assert!(!old.is_like(new) && old.attributes.kind == new.attributes.kind, "{told}");
            old.blocks_unlike(Some(new))
        }
        DifferenceKind::Renamed => older[from.as_ref().unwrap()].blocks_unlike(Some(&newer[path])),
    };
    assert_eq!(*changed_bytes, expected, "{told}");
}

/// A file that is in both states never loses a name and gets another without that being a rename.
fn check_pairs(older: &Listing, newer: &Listing, differences: &[Difference]) {
    let of = |kind, listing: &Listing| -> BTreeSet<_> {
        let of_kind = differences.iter().filter(|difference| difference.kind == kind);
        of_kind.map(|difference| listing[&difference.path].identity()).collect()
    };
    let (lost, gained) = (of(DifferenceKind::Removed, older), of(DifferenceKind::Added, newer));
    assert!(lost.is_disjoint(&gained), "{differences:?}");
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn texts<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<String> {
    paths.map(|path| text(path)).collect()
}
