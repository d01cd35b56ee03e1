//! Walks the source, and makes its names on the host.

use std::collections::HashMap;
use std::sync::Arc;
use std::vec::IntoIter;

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Attributes, DirectoryEntry, FileKind, NAME_MAX};
use rustix::fs::{AtFlags, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, symlinkat};

use crate::workflows::export::dress::node_kind;
use crate::workflows::export::file::{Copier, Job, MadeFile};
use crate::workflows::host::{HostFolder, host_error};
use crate::workflows::paths::join;
use crate::workflows::run::Reporter;

/// Entries asked for at once.
const PAGE_LEN: usize = 1000;

/// A walk through the source.
pub struct Walk<'w> {
    copier: &'w Copier<'w>,
    reporter: &'w Reporter<'w>,
}

/// A directory that is being walked.
struct Level {
    host: Arc<HostFolder>,
    path: Vec<u8>,
    attributes: Attributes,
    entries: Entries,
}

/// The first names, as components, of objects that have several.
type Linked = HashMap<InodeNumber, Vec<Vec<u8>>>;

impl<'w> Walk<'w> {
    pub(super) fn new(copier: &'w Copier<'w>, reporter: &'w Reporter<'w>) -> Self {
        Self { copier, reporter }
    }

    /// Counts names and bytes. What cannot be read is left to the walk to tell.
    pub(super) fn count(&self) {
        let mut levels = vec![Entries::of(InodeNumber::ROOT)];
        while let Some(entries) = levels.last_mut() {
            let Ok(Some(entry)) = entries.next(self.copier) else {
                levels.pop();
                continue;
            };
            if entry.kind == FileKind::Directory {
                levels.push(Entries::of(entry.inode));
                self.copier.run.count(0);
            } else if let Ok(attributes) = self.copier.source.attributes(entry.inode) {
                self.copier.run.count(attributes.allocated.min(attributes.size));
            }
            if !self.reporter.tick() {
                return;
            }
        }
    }

    /// Makes all names in `root`, and queues all files.
    pub(super) fn all(&self, root: Result<HostFolder>) {
        let run = self.copier.run;
        let attributes = self.copier.source.attributes(InodeNumber::ROOT);
        let (root, attributes) = match root.and_then(|root| Ok((Arc::new(root), attributes?))) {
            Ok(opened) => opened,
            Err(error) => return run.fail(b"", error),
        };
        let mut linked = Linked::new();
        let entries = Entries::of(InodeNumber::ROOT);
        let mut levels = vec![Level { host: Arc::clone(&root), path: Vec::new(), attributes, entries }];
        while let Some(level) = levels.last_mut() {
            if !self.reporter.tick() {
                return;
            }
            let entry = match level.entries.next(self.copier) {
                Ok(Some(entry)) => entry,
                ended => {
                    let level = levels.pop().expect("it was looked at");
                    self.leave(&level, ended.map(drop));
                    continue;
                }
            };
            let path = join(&level.path, &entry.name);
            match self.place(&root, level, &entry, &path, &mut linked) {
                Ok(Some(below)) => levels.push(below),
                Ok(None) => {}
                Err(error) => run.fail(&path, error),
            }
        }
    }

    fn leave(&self, level: &Level, listed: Result<()>) {
        match listed.and_then(|()| self.copier.dresser.dress_open(&*level.host, &level.attributes)) {
            Ok(()) if level.path.is_empty() => {}
            Ok(()) => self.copier.run.copied(FileKind::Directory),
            Err(error) => self.copier.run.fail(&level.path, error),
        }
    }

    /// Makes one name. Returns the directory to go into, if it is one.
    fn place(
        &self,
        root: &HostFolder,
        level: &Level,
        entry: &DirectoryEntry,
        path: &[u8],
        linked: &mut Linked,
    ) -> Result<Option<Level>> {
        let name = entry.name.as_slice();
        check_name(name)?;
        let attributes = self.copier.source.attributes(entry.inode)?;
        if attributes.kind == FileKind::Directory {
            mkdirat(&level.host, name, Mode::RWXU).map_err(cannot_make)?;
            let host = Arc::new(level.host.enter(name)?);
            return Ok(Some(Level { host, path: path.to_owned(), attributes, entries: Entries::of(entry.inode) }));
        }
        if let Some(first) = linked.get(&entry.inode) {
            place_link(root, first, &level.host, name)?;
            self.copier.run.copied_link();
            return Ok(None);
        }
        let links = attributes.links;
        self.place_leaf(level, name, path, attributes)?;
        if links > 1 {
            linked.insert(entry.inode, path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect());
        }
        Ok(None)
    }

    fn place_leaf(&self, level: &Level, name: &[u8], path: &[u8], attributes: Attributes) -> Result<()> {
        let Copier { source, context, run, queue, dresser } = *self.copier;
        if attributes.kind == FileKind::Regular {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(&level.host, name, flags, Mode::RUSR | Mode::WUSR).map_err(cannot_make)?;
            let made = MadeFile { file, path: path.to_owned(), attributes };
            queue.push(Job::File(made), &|| self.reporter.tick());
            return Ok(());
        }
        match node_kind(attributes.kind) {
            Some(kind) => {
                let device = makedev(attributes.device.0, attributes.device.1);
                mknodat(&level.host, name, kind, Mode::RUSR | Mode::WUSR, device).map_err(cannot_make)?;
            }
            None => {
                let target = source.read_link(context, attributes.inode)?;
                symlinkat(target.as_slice(), &level.host, name).map_err(cannot_make)?;
            }
        }
        dresser.dress_named(&level.host, name, &attributes)?;
        run.copied(attributes.kind);
        Ok(())
    }
}

/// Links to the first name, found again from the root without following a symbolic link.
fn place_link(root: &HostFolder, first: &[Vec<u8>], folder: &HostFolder, name: &[u8]) -> Result<()> {
    let (first_name, folders) = first.split_last().expect("a path has a name");
    let mut first_folder = None;
    for component in folders {
        first_folder = Some(first_folder.as_ref().unwrap_or(root).enter(component)?);
    }
    let first_folder = first_folder.as_ref().unwrap_or(root);
    linkat(first_folder, first_name.as_slice(), folder, name, AtFlags::empty()).map_err(cannot_make)
}

/// What a name must be to stay in its directory, whatever the source says.
fn check_name(name: &[u8]) -> Result<()> {
    let is_good = !name.is_empty()
        && name.len() <= NAME_MAX
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.contains(&0);
    if is_good { Ok(()) } else { Err(Error::new(ErrorKind::Invalid, "its name is none that the host could have")) }
}

fn cannot_make(errno: rustix::io::Errno) -> Error {
    host_error(errno, "cannot make it")
}

/// The entries of a directory of the source, a page at a time.
struct Entries {
    directory: InodeNumber,
    page: IntoIter<DirectoryEntry>,
    after: u64,
    end: bool,
}

impl Entries {
    fn of(directory: InodeNumber) -> Self {
        Self { directory, page: Vec::new().into_iter(), after: 0, end: false }
    }

    fn next(&mut self, copier: &Copier<'_>) -> Result<Option<DirectoryEntry>> {
        if self.page.len() == 0 && !self.end {
            let page = copier.source.read_directory(copier.context, self.directory, self.after, PAGE_LEN)?;
            self.end = page.end || page.entries.is_empty();
            self.page = page.entries.into_iter();
        }
        let entry = self.page.next();
        self.after = entry.as_ref().map_or(self.after, |entry| entry.cookie);
        Ok(entry)
    }
}
