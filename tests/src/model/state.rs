//! The model's inodes, and the checks that every call shares.
//!
//! Invariant: an inode exists while it has links or is retained; `links` counts its names (and for
//! a directory itself and its subdirectories' `..`).

use std::collections::BTreeMap;
use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{Attributes, Caller, Context, FileKind, FileSystemUsage, NAME_MAX, access};

use crate::model::bytes::Pages;

/// Bytes that a file system without a quota says it could hold.
const CAPACITY: u64 = 1 << 40;

#[derive(Clone)]
pub(super) struct State {
    pub(super) block_size: u32,
    pub(super) quota: Option<u64>,
    /// Copies of the state share inodes until one changes.
    pub(super) inodes: BTreeMap<InodeNumber, Arc<Inode>>,
    pub(super) next_inode: u64,
    pub(super) write_verifier: u64,
    pub(super) read_only: bool,
}

#[derive(Clone)]
pub(super) struct Inode {
    pub(super) attributes: Attributes,
    pub(super) body: Body,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) exclusive: Option<u64>,
    pub(super) retained: u64,
}

#[derive(Clone)]
pub(super) enum Body {
    File(Pages),
    Directory(Directory),
    Symlink(Vec<u8>),
    Special,
}

#[derive(Clone)]
pub(super) struct Directory {
    pub(super) parent: InodeNumber,
    /// Inode and cookie by name.
    pub(super) entries: BTreeMap<Vec<u8>, (InodeNumber, u64)>,
    pub(super) next_cookie: u64,
}

impl State {
    pub(super) fn new(block_size: u32, quota: Option<u64>, now: Timestamp) -> Self {
        let mut state =
            Self { block_size, quota, inodes: BTreeMap::new(), next_inode: 2, write_verifier: 1, read_only: false };
        let mut root = Inode::new(InodeNumber::ROOT, FileKind::Directory, Body::directory(InodeNumber::ROOT), now);
        root.attributes.mode = 0o755;
        root.attributes.links = 2;
        state.inodes.insert(InodeNumber::ROOT, Arc::new(root));
        state
    }

    pub(super) fn inode(&self, inode: InodeNumber) -> Result<&Inode> {
        self.inodes.get(&inode).map(|found| &**found).ok_or_else(|| ErrorKind::Stale.into())
    }

    /// An inode that the call has found before.
    pub(super) fn inode_mut(&mut self, inode: InodeNumber) -> &mut Inode {
        Arc::make_mut(self.inodes.get_mut(&inode).expect("found before"))
    }

    pub(super) fn attributes(&self, inode: InodeNumber) -> Result<Attributes> {
        Ok(self.inode(inode)?.attributes.clone())
    }

    pub(super) fn directory(&self, inode: InodeNumber) -> Result<&Directory> {
        match &self.inode(inode)?.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(ErrorKind::NotDirectory.into()),
        }
    }

    pub(super) fn directory_mut(&mut self, inode: InodeNumber) -> &mut Directory {
        match &mut self.inode_mut(inode).body {
            Body::Directory(directory) => directory,
            _ => unreachable!("the call found a directory before"),
        }
    }

    pub(super) fn file(&self, inode: InodeNumber) -> Result<&Pages> {
        match &self.inode(inode)?.body {
            Body::File(pages) => Ok(pages),
            Body::Directory(_) => Err(ErrorKind::IsDirectory.into()),
            _ => Err(ErrorKind::Invalid.into()),
        }
    }

    /// Fails unless the caller has all of `wanted`.
    pub(super) fn demand(&self, context: &Context, inode: InodeNumber, wanted: u8) -> Result<()> {
        cow_storage::fs::check_access(&self.inode(inode)?.attributes, &context.caller, wanted)
    }

    /// Fails unless the caller owns the inode or has all of `wanted`.
    pub(super) fn demand_or_own(&self, context: &Context, inode: InodeNumber, wanted: u8) -> Result<()> {
        if self.owns(context, inode)? { Ok(()) } else { self.demand(context, inode, wanted) }
    }

    /// Whether the caller may do what only owners may.
    pub(super) fn owns(&self, context: &Context, inode: InodeNumber) -> Result<bool> {
        let owner = self.inode(inode)?.attributes.uid;
        Ok(match &context.caller {
            Caller::Superuser => true,
            Caller::User(user) => user.uid == owner,
        })
    }

    /// Fails unless the caller may add names to and take them from a directory.
    pub(super) fn demand_change(&self, context: &Context, directory: InodeNumber) -> Result<()> {
        self.demand(context, directory, access::WRITE | access::EXECUTE)
    }

    /// Where the directory is sticky, only the owner of it or of the file may take the file's name away.
    pub(super) fn demand_unstuck(&self, context: &Context, directory: InodeNumber, inode: InodeNumber) -> Result<()> {
        let sticky = self.inode(directory)?.attributes.mode & 0o1000 != 0;
        if sticky && !self.owns(context, directory)? && !self.owns(context, inode)? {
            return Err(ErrorKind::Permission.into());
        }
        Ok(())
    }

    pub(super) fn retain(&mut self, inode: InodeNumber) -> Result<()> {
        self.inode(inode)?;
        self.inode_mut(inode).retained += 1;
        Ok(())
    }

    pub(super) fn release(&mut self, inode: InodeNumber) {
        if let Some(found) = self.inodes.get_mut(&inode) {
            let found = Arc::make_mut(found);
            found.retained = found.retained.saturating_sub(1);
            self.forget_unreferenced(inode);
        }
    }

    /// Ends all retains.
    pub(super) fn release_all(&mut self) {
        let retained: Vec<_> =
            self.inodes.iter().filter(|(_, found)| found.retained > 0).map(|(&inode, _)| inode).collect();
        for inode in retained {
            self.inode_mut(inode).retained = 0;
            self.forget_unreferenced(inode);
        }
    }

    /// Drops an inode that nothing refers to any more.
    pub(super) fn forget_unreferenced(&mut self, inode: InodeNumber) {
        let found = &self.inodes[&inode];
        if found.retained == 0 && found.attributes.links == 0 {
            self.inodes.remove(&inode);
        }
    }

    pub(super) fn allocated(&self) -> u64 {
        self.inodes.values().map(|inode| inode.attributes.allocated).sum()
    }

    pub(super) fn usage(&self) -> FileSystemUsage {
        let total = self.quota.unwrap_or(CAPACITY);
        let free = total.saturating_sub(self.allocated());
        FileSystemUsage { total, free, inodes: self.inodes.len() as u64 }
    }
}

impl Inode {
    pub(super) fn new(inode: InodeNumber, kind: FileKind, body: Body, now: Timestamp) -> Self {
        let attributes = Attributes {
            inode,
            kind,
            mode: 0,
            links: 1,
            uid: 0,
            gid: 0,
            size: 0,
            allocated: 0,
            device: (0, 0),
            accessed: now,
            modified: now,
            changed: now,
            created: now,
            change: 1,
        };
        Self { attributes, body, xattrs: BTreeMap::new(), exclusive: None, retained: 0 }
    }

    /// Notes a change of attributes.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.attributes.changed = now;
        self.attributes.change += 1;
    }

    /// Notes a change of content.
    pub(super) fn touch_content(&mut self, now: Timestamp) {
        self.attributes.modified = now;
        self.touch(now);
    }

    /// What another user's write takes away: set-user-id, and set-group-id of programs.
    pub(super) fn drop_privileges(&mut self, caller: &Caller) {
        if *caller != Caller::Superuser && self.attributes.kind == FileKind::Regular {
            self.attributes.mode = without_privileges(self.attributes.mode);
        }
    }
}

impl Body {
    pub(super) fn directory(parent: InodeNumber) -> Self {
        Self::Directory(Directory { parent, entries: BTreeMap::new(), next_cookie: 3 })
    }
}

/// A mode without set-user-id, and without set-group-id where the group may execute.
pub(super) fn without_privileges(mode: u32) -> u32 {
    mode & !0o4000 & if mode & 0o010 != 0 { !0o2000 } else { !0 }
}

/// Whether the caller is a member of a group.
pub(super) fn is_member(caller: &Caller, gid: u32) -> bool {
    match caller {
        Caller::Superuser => true,
        Caller::User(user) => user.gid == gid || user.groups.contains(&gid),
    }
}

/// Whether a name is one that every directory has.
pub(super) fn is_dots(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

/// Fails unless `name` can be an entry's name.
pub(super) fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || is_dots(name) || name.contains(&b'/') || name.contains(&0) {
        return Err(Error::new(ErrorKind::Invalid, "no name for a file"));
    }
    if name.len() > NAME_MAX {
        return Err(ErrorKind::NameTooLong.into());
    }
    Ok(())
}
