//! Names: finding, linking, removing and renaming them, and listing directories.
//!
//! Invariant: a directory's size is 32 bytes for each of its names, and a name's cookie never changes. Which check comes
//! first is Linux's choice, and the engine's.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{
    Attributes, Changed, Context, DirectoryEntry, DirectoryPage, FileKind, LINK_MAX, Linked, Renamed, access,
};

use crate::model::state::{Body, State, check_name, is_dots};

/// What a name adds to its directory's size, in bytes.
const ENTRY_SIZE: u64 = 32;

impl State {
    pub(super) fn lookup(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Attributes> {
        self.demand_search(context, directory)?;
        match name {
            b"." => self.attributes(directory),
            b".." => self.attributes(self.directory(directory)?.parent),
            _ => self.attributes(self.found(directory, name)?.ok_or(ErrorKind::NotFound)?),
        }
    }

    /// Fails unless this is a directory in which the caller may look up names.
    pub(super) fn demand_search(&self, context: &Context, directory: InodeNumber) -> Result<()> {
        self.directory(directory)?;
        self.demand(context, directory, access::EXECUTE)
    }

    /// What a name stands for; fails if no name is like this.
    pub(super) fn found(&self, directory: InodeNumber, name: &[u8]) -> Result<Option<InodeNumber>> {
        check_name(name)?;
        Ok(self.directory(directory)?.entries.get(name).map(|&(inode, _)| inode))
    }

    /// What has the name that a new object is to get.
    pub(super) fn found_for_new(
        &self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
    ) -> Result<Option<InodeNumber>> {
        self.demand_search(context, directory)?;
        if is_dots(name) { Err(ErrorKind::Exists.into()) } else { self.found(directory, name) }
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
        if self.inode(directory)?.attributes.links == 0 {
            return Err(ErrorKind::NotFound.into());
        }
        self.demand_change(context, directory)
    }

    pub(super) fn link(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        directory: InodeNumber,
        name: &[u8],
    ) -> Result<Linked> {
        let present = self.attributes(inode)?;
        if self.found_for_new(context, directory, name)?.is_some() {
            return Err(ErrorKind::Exists.into());
        }
        self.demand_new_name(context, directory)?;
        match present.links {
            _ if present.kind == FileKind::Directory => return Err(ErrorKind::Permission.into()),
            0 => return Err(ErrorKind::NotFound.into()),
            LINK_MAX.. => return Err(ErrorKind::TooManyLinks.into()),
            _ => {}
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
        self.demand_search(context, directory)?;
        match name {
            b"." | b".." if !wants_directory => return Err(ErrorKind::IsDirectory.into()),
            b"." => return Err(ErrorKind::Invalid.into()),
            b".." => return Err(ErrorKind::NotEmpty.into()),
            _ => {}
        }
        let inode = self.found(directory, name)?.ok_or(ErrorKind::NotFound)?;
        self.demand_change(context, directory)?;
        self.demand_unstuck(context, directory, inode)?;
        self.check_removable(inode, wants_directory)?;
        self.change_names(context, directory, |state| {
            state.directory_mut(directory).entries.remove(name);
            state.drop_link(context, directory, inode);
        })
    }

    fn check_removable(&self, inode: InodeNumber, wants_directory: bool) -> Result<()> {
        self.check_kind(inode, wants_directory)?;
        match &self.inode(inode)?.body {
            Body::Directory(found) if !found.entries.is_empty() => Err(ErrorKind::NotEmpty.into()),
            _ => Ok(()),
        }
    }

    fn check_kind(&self, inode: InodeNumber, wants_directory: bool) -> Result<()> {
        match &self.inode(inode)?.body {
            Body::Directory(_) if !wants_directory => Err(ErrorKind::IsDirectory.into()),
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
        self.demand_search(context, from.0)?;
        self.demand_search(context, to.0)?;
        check_name(from.1)?;
        check_name(to.1)?;
        let source = self.found(from.0, from.1)?.ok_or(ErrorKind::NotFound)?;
        if self.inode(source)?.attributes.kind == FileKind::Directory && self.is_within(to.0, source)? {
            return Err(ErrorKind::Invalid.into());
        }
        let target = self.found(to.0, to.1)?;
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
        self.demand_change(context, from)?;
        self.demand_unstuck(context, from, source)?;
        match target {
            None => self.demand_new_name(context, to)?,
            Some(target) => {
                self.demand_change(context, to)?;
                self.demand_unstuck(context, to, target)?;
                self.check_kind(target, is_directory)?;
            }
        }
        if is_directory && from != to {
            self.demand(context, source, access::WRITE)?;
        }
        target.map_or(Ok(()), |target| self.check_removable(target, is_directory))?;
        if is_directory && from != to && target.is_none() && self.inode(to)?.attributes.links >= LINK_MAX {
            return Err(ErrorKind::TooManyLinks.into());
        }
        Ok(())
    }

    /// Whether `directory` is `ancestor` or below it. `Stale` of one that was removed and whose parent is gone.
    fn is_within(&self, directory: InodeNumber, ancestor: InodeNumber) -> Result<bool> {
        let mut at = directory;
        while at != ancestor {
            if at == InodeNumber::ROOT {
                return Ok(false);
            }
            at = self.directory(at)?.parent;
        }
        Ok(true)
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
        found.attributes.size = entries * ENTRY_SIZE;
        found.touch_content(context.now);
    }
}
