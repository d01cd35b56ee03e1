//! Directory trees on the host: makes one with all that a tree can have, and tells what one has.
//!
//! Two trees are the same when [`describe`] says the same of both.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};

use crate::random::Random;

/// All that a copy must keep of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Kind and permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds and nanoseconds of the last change of content.
    pub modified: (i64, i64),
    /// Length, and a hash of the bytes of a file or the target of a link.
    pub content: (u64, blake3::Hash),
    /// Whether less than half of its length is allocated.
    pub sparse: bool,
    /// The first path, in order, of the same inode.
    pub same_as: PathBuf,
    /// Numbers of a device.
    pub device: u64,
    /// Extended attributes, of users, access lists and all else.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What lies at and below `root`, by path from there.
pub fn describe(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut paths = Vec::new();
    list(root, &mut paths);
    paths.sort();
    let mut first = HashMap::new();
    let mut tree = BTreeMap::new();
    for path in paths {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let inner = path.strip_prefix(root).unwrap().to_owned();
        let same_as = first.entry((metadata.dev(), metadata.ino())).or_insert_with(|| inner.clone()).clone();
        let bytes = match metadata.file_type() {
            kind if kind.is_file() => fs::read(&path).unwrap(),
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            _ => Vec::new(),
        };
        let entry = Entry {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            content: (bytes.len() as u64, blake3::hash(&bytes)),
            sparse: metadata.is_file() && metadata.blocks() * 512 < metadata.len() / 2,
            same_as,
            device: metadata.rdev(),
            attributes: attributes(&path),
        };
        tree.insert(inner, entry);
    }
    tree
}

/// Fails with the first paths that differ.
pub fn assert_same(left: &BTreeMap<PathBuf, Entry>, right: &BTreeMap<PathBuf, Entry>) {
    let differ = |path: &&PathBuf| left.get(*path) != right.get(*path);
    let paths: Vec<_> = left.keys().chain(right.keys()).filter(differ).take(3).collect();
    let told: Vec<_> = paths.iter().map(|path| (path, left.get(*path), right.get(*path))).collect();
    assert!(told.is_empty(), "the trees differ: {told:#?}");
}

/// Fills the empty folder `root` with `files` small files in folders, and one each of all that is rare: a large
/// file, a sparse one, hard and symbolic links, odd names, modes, and extended attributes.
pub fn make(root: &Path, files: usize, large_len: usize, seed: u64) {
    let mut random = Random::new(seed);
    let mut folders = vec![root.to_owned()];
    for number in 0..files / 30 {
        let parent = &folders[random.below(folders.len() as u64) as usize];
        let folder = parent.join(format!("folder{number}"));
        fs::create_dir(&folder).unwrap();
        folders.push(folder);
    }
    for number in 0..files {
        let path = folders[random.below(folders.len() as u64) as usize].join(format!("file{number}"));
        let doublings = random.below(16);
        let size = random.below(1 << doublings) as usize;
        fs::write(&path, random.bytes(size)).unwrap();
        let mode = [0o644, 0o600, 0o755, 0o444][random.below(4) as usize];
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        if number % 50 == 0 {
            fs::hard_link(&path, root.join(format!("also{number}"))).unwrap();
            symlink(format!("file{number}/not there"), root.join(format!("link{number}"))).unwrap();
        }
    }
    fs::write(root.join("large"), random.bytes(large_len)).unwrap();
    fs::write(root.join("with a space, \u{e9} and \\"), b"odd").unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(&random.bytes(100_000), 33 << 20).unwrap();
    let large = root.join("large");
    for (name, length) in [("user.short", 5), ("user.long", 2000)] {
        let value = random.bytes(length);
        // Some file systems have none: then there is nothing to compare either.
        let _ = lsetxattr(&large, name, &value, XattrFlags::empty());
    }
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
    for (number, folder) in (0..).zip(&folders) {
        let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::new(1_000_000_000 + number, 123_456_789));
        File::open(folder).unwrap().set_times(times).unwrap();
    }
}

fn list(path: &Path, paths: &mut Vec<PathBuf>) {
    paths.push(path.to_owned());
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            list(&entry.unwrap().path(), paths);
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = llistxattr(path, &mut names).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0);
    // A security module labels each file by where it lies.
    let names = names.filter(|name| !name.is_empty() && *name != b"security.selinux");
    let value = |name: &[u8]| {
        let mut value = vec![0; 64 << 10];
        let length = lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value).unwrap();
        value.truncate(length);
        value
    };
    names.map(|name| (name.to_owned(), value(name))).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_copy_is_the_same_until_a_byte_of_it_changes() {
        let scratch = Scratch::new("host-tree");
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        fs::create_dir(&from).unwrap();
        make(&from, 100, 1 << 20, 1);
        assert!(Command::new("cp").arg("-a").args([&from, &to]).status().unwrap().success());
        assert_same(&describe(&from), &describe(&to));
        File::options().write(true).open(to.join("large")).unwrap().write_all_at(b"x", 7).unwrap();
        assert_ne!(describe(&from), describe(&to));
    }
}
