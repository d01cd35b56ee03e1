//! Walks the source, and makes its names in the target.
//!
//! Invariant: at most one inode of the target stands for an object of the source, and at most one object of the source
//! for an inode of the target, so that names are hard links of each other in both trees or in neither.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::vec::IntoIter;

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, FileKind, NewObject};

use crate::workflows::host::{HostFolder, HostObject, describe_open, xattrs_open};
use crate::workflows::import::ImportReport;
use crate::workflows::import::existing::{self, Existing};
use crate::workflows::import::file::{Copier, Found, Job};
use crate::workflows::import::settle::attributes_of;
use crate::workflows::paths::join;
use crate::workflows::run::{Reporter, Run};

/// Counts names and bytes in the source. What cannot be read is left to the walk to tell.
pub fn count(root: &HostFolder, cross_mounts: bool, run: &Run, reporter: &Reporter<'_>) {
    let Ok(top) = describe_open(root) else { return };
    let names = root.names().unwrap_or_default();
    let mut stack: Vec<(Option<HostFolder>, IntoIter<Vec<u8>>)> = vec![(None, names.into_iter())];
    while let Some((folder, names)) = stack.last_mut() {
        let folder = folder.as_ref().unwrap_or(root);
        let Some(name) = names.next() else {
            stack.pop();
            continue;
        };
        let Ok(object) = folder.describe(&name) else { continue };
        run.count(object.data);
        if object.kind == FileKind::Directory
            && (cross_mounts || object.mount == top.mount)
            && let Ok(below) = folder.enter(&name)
        {
            let names = below.names().unwrap_or_default();
            stack.push((Some(below), names.into_iter()));
        }
        if !reporter.tick() {
            return;
        }
    }
}

/// A walk through the source.
pub struct Walk<'w> {
    copier: &'w Copier<'w>,
    reporter: &'w Reporter<'w>,
    cross_mounts: bool,
    /// The target's inodes for objects that have several names in the source.
    linked: HashMap<(u32, u32, u64), InodeNumber>,
    /// Inodes that the target had under several names, and that stand for an object of the source now.
    claimed: HashSet<InodeNumber>,
    report: ImportReport,
}

/// A directory that is being walked.
struct Level {
    host: Arc<HostFolder>,
    path: Vec<u8>,
    object: HostObject,
    inode: InodeNumber,
    fresh: bool,
    names: IntoIter<Vec<u8>>,
    existing: Existing,
}

impl<'w> Walk<'w> {
    pub(super) fn new(copier: &'w Copier<'w>, reporter: &'w Reporter<'w>, cross_mounts: bool) -> Self {
        let report = ImportReport::default();
        Self { copier, reporter, cross_mounts, linked: HashMap::new(), claimed: HashSet::new(), report }
    }

    /// Makes all names, and queues all files.
    pub(super) fn all(mut self, root: HostFolder) -> ImportReport {
        let mut levels = Vec::new();
        let opened = describe_open(&root).and_then(|object| {
            let mount = object.mount;
            let level = self.enter(root, Vec::new(), object, InodeNumber::ROOT, false)?;
            Ok((mount, level))
        });
        let mount = match opened {
            Ok((mount, level)) => {
                levels.push(level);
                mount
            }
            Err(error) => {
                self.copier.run.fail(b"", error);
                return self.report;
            }
        };
        while let Some(level) = levels.last_mut() {
            if !self.reporter.tick() {
                break;
            }
            let Some(name) = level.names.next() else {
                self.leave(levels.pop().expect("it was looked at"));
                continue;
            };
            let path = join(&level.path, &name);
            match self.place(level, &name, &path, mount) {
                Ok(Some(below)) => levels.push(below),
                Ok(None) => {}
                Err(error) => self.copier.run.fail(&path, error),
            }
        }
        self.report
    }

    fn enter(
        &mut self,
        host: HostFolder,
        path: Vec<u8>,
        object: HostObject,
        inode: InodeNumber,
        fresh: bool,
    ) -> Result<Level> {
        let names = host.names()?;
        let Copier { target, context, .. } = *self.copier;
        let mut existing = if fresh { Existing::new() } else { existing::list(target, context, inode)? };
        let gone: Vec<_> = existing.keys().filter(|name| names.binary_search(name).is_err()).cloned().collect();
        for name in gone {
            self.remove(inode, &name, &mut existing)?;
        }
        Ok(Level { host: Arc::new(host), path, object, inode, fresh, names: names.into_iter(), existing })
    }

    fn leave(&mut self, level: Level) {
        let run = self.copier.run;
        let left = xattrs_open(&*level.host).and_then(|xattrs| {
            if !describe_open(&*level.host)?.is_unchanged_since(&level.object) {
                self.copier.note_changed(&level.path);
            }
            self.copier.settle(level.inode, &level.object, &xattrs, level.fresh)
        });
        match left {
            Ok(()) if level.path.is_empty() => {}
            Ok(()) => run.copied(FileKind::Directory),
            Err(error) => run.fail(&level.path, error),
        }
    }

    /// Makes one name. Returns the directory to go into, if it is one.
    fn place(&mut self, level: &mut Level, name: &[u8], path: &[u8], mount: (u32, u32, u64)) -> Result<Option<Level>> {
        let object = match level.host.describe(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.copier.note_changed(path);
                return self.forget(level, name);
            }
            object => object?,
        };
        if object.kind == FileKind::Directory {
            return self.place_directory(level, name, path, object, mount).map(Some);
        }
        if let Some(inode) = self.linked.get(&object.identity).copied() {
            self.place_link(level, name, inode)?;
            return Ok(None);
        }
        let body = match object.kind {
            FileKind::Symlink => NewObject::Symlink(level.host.read_link(name)?),
            FileKind::BlockDevice => NewObject::BlockDevice(object.device.0, object.device.1),
            FileKind::CharacterDevice => NewObject::CharacterDevice(object.device.0, object.device.1),
            FileKind::Fifo => NewObject::Fifo,
            FileKind::Socket => NewObject::Socket,
            FileKind::Regular | FileKind::Directory => NewObject::Regular { exclusive: None },
        };
        let (inode, fresh) = self.find_or_make(level, name, &object, &body)?;
        if object.links > 1 {
            self.linked.insert(object.identity, inode);
        }
        let Copier { run, queue, .. } = *self.copier;
        if object.kind == FileKind::Regular {
            let folder = Arc::clone(&level.host);
            let (name, path, identity) = (name.to_owned(), path.to_owned(), object.identity);
            queue.push(Job::File(Found { folder, name, path, identity, inode, fresh }), &|| self.reporter.tick());
        } else {
            self.copier.settle(inode, &object, &level.host.xattrs(name)?, fresh)?;
            run.copied(object.kind);
        }
        Ok(None)
    }

    /// What went while we looked is not in the target either.
    fn forget(&mut self, level: &mut Level, name: &[u8]) -> Result<Option<Level>> {
        if level.existing.contains_key(name) {
            self.remove(level.inode, name, &mut level.existing)?;
        }
        Ok(None)
    }

    fn place_directory(
        &mut self,
        level: &mut Level,
        name: &[u8],
        path: &[u8],
        object: HostObject,
        mount: (u32, u32, u64),
    ) -> Result<Level> {
        let (inode, fresh) = self.find_or_make(level, name, &object, &NewObject::Directory)?;
        let host = level.host.enter(name)?;
        if self.cross_mounts || object.mount == mount {
            return self.enter(host, path.to_owned(), object, inode, fresh);
        }
        self.report.mounts.add(path);
        for name in existing::list(self.copier.target, self.copier.context, inode)?.into_keys() {
            self.remove_below(inode, &name)?;
        }
        let (names, existing) = (Vec::new().into_iter(), Existing::new());
        Ok(Level { host: Arc::new(host), path: path.to_owned(), object, inode, fresh, names, existing })
    }

    /// The inode for a name: the one that it has, if that can become equal to the source, or a new one.
    fn find_or_make(
        &mut self,
        level: &mut Level,
        name: &[u8],
        object: &HostObject,
        body: &NewObject,
    ) -> Result<(InodeNumber, bool)> {
        if let Some((inode, kind)) = level.existing.get(name).copied() {
            if kind == object.kind && self.can_become(inode, object, body)? {
                return Ok((inode, false));
            }
            self.remove(level.inode, name, &mut level.existing)?;
        }
        let Copier { target, context, .. } = *self.copier;
        let initial = AttributeChange { size: None, ..attributes_of(object) };
        let created = target.create(context, level.inode, name, body, object.mode, &initial)?;
        Ok((created.object.inode, true))
    }

    /// Whether an inode of the same kind can become equal to `object` without harm to other names of it.
    fn can_become(&mut self, inode: InodeNumber, object: &HostObject, body: &NewObject) -> Result<bool> {
        let Copier { target, context, .. } = *self.copier;
        let present = target.attributes(inode)?;
        let is_shared = present.links > 1 && object.kind != FileKind::Directory;
        if is_shared && self.claimed.contains(&inode) {
            return Ok(false);
        }
        let same_body = match body {
            NewObject::Symlink(leads_to) => target.read_link(context, inode)? == *leads_to,
            NewObject::BlockDevice(..) | NewObject::CharacterDevice(..) => present.device == object.device,
            _ => true,
        };
        if is_shared && same_body {
            self.claimed.insert(inode);
        }
        Ok(same_body)
    }

    fn place_link(&mut self, level: &mut Level, name: &[u8], inode: InodeNumber) -> Result<()> {
        let Copier { target, context, run, .. } = *self.copier;
        match level.existing.get(name) {
            Some((present, _)) if *present == inode => {}
            present => {
                if present.is_some() {
                    self.remove(level.inode, name, &mut level.existing)?;
                }
                target.link(context, inode, level.inode, name)?;
            }
        }
        run.copied_link();
        Ok(())
    }

    fn remove(&mut self, directory: InodeNumber, name: &[u8], existing: &mut Existing) -> Result<()> {
        existing.remove(name);
        self.remove_below(directory, name)
    }

    fn remove_below(&mut self, directory: InodeNumber, name: &[u8]) -> Result<()> {
        let Copier { target, context, .. } = *self.copier;
        let kind = target.lookup(context, directory, name)?.kind;
        self.report.removed += existing::remove(target, context, directory, name, kind)?;
        Ok(())
    }
}
