//! Names: finding, linking, removing and renaming them, and listing directories.
//!
//! Invariant: a directory's size is the number of its names, and a name's cookie never changes.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{
    Attributes, Changed, Context, DirectoryEntry, DirectoryPage, FileKind, LINK_MAX, Linked, Renamed, access,
};

use crate::model::state::{Body, State, check_name};

impl State {
    pub(super) fn lookup(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Attributes> {
        let parent = self.directory(directory)?.parent;
        match name {
            b"." | b".." => {
                self.demand(context, directory, access::EXECUTE)?;
                self.attributes(if name == b"." { directory } else { parent })
            }
            _ => {
                let found = self.search(context, directory, name)?.ok_or(ErrorKind::NotFound)?;
                self.attributes(found)
            }
        }
    }

    /// What a name stands for, to a caller who may search the directory.
    pub(super) fn search(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Option<InodeNumber>> {
        let entries = &self.directory(directory)?.entries;
        check_name(name)?;
        self.demand(context, directory, access::EXECUTE)?;
        Ok(entries.get(name).map(|&(inode, _)| inode))
    }

    pub(super) fn read_link(&self, inode: InodeNumber) -> Result<Vec<u8>> {
        match &self.inode(inode)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(ErrorKind::Invalid.into()),
        }
    }

    pub(super) fn parent(&self, directory: InodeNumber) -> Result<InodeNumber> {
        Ok(self.directory(directory)?.parent)
    }

    pub(super) fn read_directory(
        &self,
        context: &Context,
        directory: InodeNumber,
        after: u64,
        limit: usize,
    ) -> Result<DirectoryPage> {
        let entries = &self.directory(directory)?.entries;
        self.demand(context, directory, access::READ)?;
        let mut listed: Vec<DirectoryEntry> = entries
            .iter()
            .filter(|&(_, &(_, cookie))| cookie > after)
            .map(|(name, &(inode, cookie))| {
                let kind = self.inodes[&inode].attributes.kind;
                DirectoryEntry { name: name.clone(), inode, kind, cookie }
            })
            .collect();
        listed.sort_by_key(|entry| entry.cookie);
        let end = listed.len() <= limit;
        listed.truncate(limit);
        Ok(DirectoryPage { entries: listed, end })
    }

    /// Fails unless the caller may add a name, and the directory has one itself.
    pub(super) fn demand_new_name(&self, context: &Context, directory: InodeNumber) -> Result<()> {
        self.demand_change(context, directory)?;
        if self.inode(directory)?.attributes.links == 0 { Err(ErrorKind::NotFound.into()) } else { Ok(()) }
    }

    pub(super) fn link(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        directory: InodeNumber,
        name: &[u8],
    ) -> Result<Linked> {
        let present = self.attributes(inode)?;
        let taken = self.search(context, directory, name)?.is_some();
        if present.kind == FileKind::Directory {
            return Err(ErrorKind::IsDirectory.into());
        }
        if taken {
            return Err(ErrorKind::Exists.into());
        }
        self.demand_new_name(context, directory)?;
        if present.links == 0 {
            return Err(ErrorKind::Stale.into());
        }
        if present.links >= LINK_MAX {
            return Err(ErrorKind::TooManyLinks.into());
        }
        let directory = self.change_names(context, directory, |state| {
            state.put_name(directory, name, inode);
            let found = state.inode_mut(inode);
            found.attributes.links += 1;
            found.touch(context.now);
        })?;
        Ok(Linked { object: self.attributes(inode)?, directory })
    }

    pub(super) fn remove(
        &mut self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        wants_directory: bool,
    ) -> Result<Changed> {
        let inode = self.search(context, directory, name)?.ok_or(ErrorKind::NotFound)?;
        self.demand_change(context, directory)?;
        self.demand_unstuck(context, directory, inode)?;
        self.check_removable(inode, wants_directory)?;
        self.change_names(context, directory, |state| {
            state.directory_mut(directory).entries.remove(name);
            state.drop_link(context, directory, inode);
        })
    }

    fn check_removable(&self, inode: InodeNumber, wants_directory: bool) -> Result<()> {
        match &self.inode(inode)?.body {
            Body::Directory(_) if !wants_directory => Err(ErrorKind::IsDirectory.into()),
            Body::Directory(found) if !found.entries.is_empty() => Err(ErrorKind::NotEmpty.into()),
            Body::Directory(_) => Ok(()),
            _ if wants_directory => Err(ErrorKind::NotDirectory.into()),
            _ => Ok(()),
        }
    }

    /// Takes one name's link off an inode whose name has just gone from `directory`.
    fn drop_link(&mut self, context: &Context, directory: InodeNumber, inode: InodeNumber) {
        let found = self.inode_mut(inode);
        let is_directory = found.attributes.kind == FileKind::Directory;
        found.attributes.links = if is_directory { 0 } else { found.attributes.links - 1 };
        found.touch(context.now);
        self.inode_mut(directory).attributes.links -= u32::from(is_directory);
        self.forget_unreferenced(inode);
    }

    pub(super) fn rename(
        &mut self,
        context: &Context,
        from: (InodeNumber, &[u8]),
        to: (InodeNumber, &[u8]),
    ) -> Result<Renamed> {
        let source = self.search(context, from.0, from.1)?;
        let target = self.search(context, to.0, to.1)?;
        let source = source.ok_or(ErrorKind::NotFound)?;
        if target == Some(source) {
            let same = |attributes: Attributes| Changed { before: attributes.clone(), after: attributes };
            return Ok(Renamed { from: same(self.attributes(from.0)?), to: same(self.attributes(to.0)?) });
        }
        self.check_rename(context, (from.0, source), (to.0, target))?;
        let (before_from, before_to) = (self.attributes(from.0)?, self.attributes(to.0)?);
        self.move_name(context, (from.0, from.1, source), (to.0, to.1, target));
        Ok(Renamed {
            from: Changed { before: before_from, after: self.attributes(from.0)? },
            to: Changed { before: before_to, after: self.attributes(to.0)? },
        })
    }

    fn check_rename(
        &self,
        context: &Context,
        (from, source): (InodeNumber, InodeNumber),
        (to, target): (InodeNumber, Option<InodeNumber>),
    ) -> Result<()> {
        let is_directory = self.inode(source)?.attributes.kind == FileKind::Directory;
        if is_directory && self.is_within(to, source) {
            return Err(ErrorKind::Invalid.into());
        }
        self.demand_change(context, from)?;
        self.demand_unstuck(context, from, source)?;
        match target {
            None => self.demand_new_name(context, to)?,
            Some(target) => {
                self.demand_change(context, to)?;
                self.demand_unstuck(context, to, target)?;
                self.check_removable(target, is_directory)?;
            }
        }
        if is_directory && from != to {
            self.demand(context, source, access::WRITE)?;
        }
        Ok(())
    }

    /// Whether `directory` is `ancestor` or below it.
    fn is_within(&self, directory: InodeNumber, ancestor: InodeNumber) -> bool {
        let mut at = directory;
        loop {
            if at == ancestor {
                return true;
            }
            let Some(parent) = self.directory(at).ok().map(|found| found.parent) else { return false };
            if parent == at {
                return false;
            }
            at = parent;
        }
    }

    fn move_name(
        &mut self,
        context: &Context,
        (from, from_name, source): (InodeNumber, &[u8], InodeNumber),
        (to, to_name, target): (InodeNumber, &[u8], Option<InodeNumber>),
    ) {
        self.directory_mut(from).entries.remove(from_name);
        self.put_name(to, to_name, source);
        if let Some(target) = target {
            self.drop_link(context, to, target);
        }
        if let Body::Directory(moved) = &mut self.inode_mut(source).body {
            moved.parent = to;
            self.inode_mut(from).attributes.links -= 1;
            self.inode_mut(to).attributes.links += 1;
        }
        self.inode_mut(source).touch(context.now);
        self.names_changed(context, from);
        if to != from {
            self.names_changed(context, to);
        }
    }

    /// Sets a name. One that is there keeps its cookie.
    pub(super) fn put_name(&mut self, directory: InodeNumber, name: &[u8], inode: InodeNumber) {
        let directory = self.directory_mut(directory);
        if let Some(entry) = directory.entries.get_mut(name) {
            entry.0 = inode;
        } else {
            directory.entries.insert(name.to_vec(), (inode, directory.next_cookie));
            directory.next_cookie += 1;
        }
    }

    pub(super) fn change_names(
        &mut self,
        context: &Context,
        directory: InodeNumber,
        change: impl FnOnce(&mut Self),
    ) -> Result<Changed> {
        let before = self.attributes(directory)?;
        change(self);
        self.names_changed(context, directory);
        Ok(Changed { before, after: self.attributes(directory)? })
    }

    fn names_changed(&mut self, context: &Context, directory: InodeNumber) {
        let entries = self.directory_mut(directory).entries.len() as u64;
        let found = self.inode_mut(directory);
        found.attributes.size = entries;
        found.touch_content(context.now);
    }
}
