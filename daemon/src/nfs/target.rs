//! From a client's handle to the file it names, and what the caller may do there.
//!
//! Invariant: nothing of a share is reached without its access rules, asked at every call; a snapshot
//! and a share that the client may only read take no change.
//!
//! Every dataset's root has a directory `.snapshot`, which no listing shows: it holds the dataset's
//! snapshots by name.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::{DatasetId, InodeNumber, SnapshotId, Timestamp};
use cow_storage::fs::{Attributes, Caller, Context, FileKind, FileSystem, access, granted};

use crate::locks::File;
use crate::nfs::handle::{self, Handle, HandleKey, SNAPSHOTS};
use crate::nfs::known::Known;
use crate::nfs::status::Status;
use crate::shares::{ClientIdentity, Identity, SNAPSHOTS_NAME, View, Views};

/// A call: who asks what of which server, and when.
pub struct Request<'a> {
    /// All that can be seen.
    pub views: &'a dyn Views,
    /// Makes and opens handles.
    pub key: &'a HandleKey,
    /// The client's address.
    pub peer: SocketAddr,
    /// Whom it says it calls for.
    pub identity: &'a ClientIdentity,
    /// The present.
    pub now: Timestamp,
    /// Whether it was made before.
    pub known: Known,
    /// Whether what it changes is durable when it has been run, or only once its file system has settled.
    pub is_durable: bool,
    /// What shows on the way.
    pub seen: &'a Seen,
}

/// What shows of a call while it is run, to be counted.
#[derive(Default)]
pub struct Seen {
    /// The dataset that it is about: the first, if there are two.
    pub dataset: Cell<Option<DatasetId>>,
    /// Whether the share's rules refused it.
    pub is_refused: Cell<bool>,
    /// What has to settle before it is answered.
    pub unsettled: Cell<Option<Arc<dyn FileSystem>>>,
    /// Bytes of files that it returned.
    pub read_bytes: Cell<u64>,
    /// Bytes of files that it brought.
    pub written_bytes: Cell<u64>,
}

/// A file that a handle names, and who asks for it.
pub struct Target {
    view: View,
    writable: bool,
    group: u32,
    /// What the engine's calls need to know.
    pub context: Context,
    /// Whether the call was done before a crash: it is answered from what is there, and not run again.
    pub was_done: bool,
    inode: InodeNumber,
}

impl Request<'_> {
    /// What a handle names, if this client may see it.
    pub fn target(&self, bytes: &[u8]) -> Result<Target, Status> {
        let handle = self.key.open(bytes)?;
        self.seen.note(handle.dataset);
        self.admitted(self.view(handle.dataset, handle.snapshot)?, handle.inode)
    }

    /// A file of a view, if this client may see it.
    pub fn admitted(&self, view: View, inode: InodeNumber) -> Result<Target, Status> {
        self.seen.note(view.share.dataset);
        let Some(admission) = view.share.access.admit(self.peer, self.identity) else {
            self.seen.is_refused.set(true);
            return Err(Status::ACCESS);
        };
        let Identity { caller, group } = admission.identity;
        if !self.is_durable {
            self.seen.unsettled.set(Some(view.file_system.clone()));
        }
        let context = Context { now: self.now, caller, durable: self.is_durable, call: self.known.id };
        let writable = admission.writable && view.snapshot.is_none();
        Ok(Target { writable, view, group, context, was_done: self.known.was_done, inode })
    }

    fn view(&self, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Result<View, Status> {
        Ok(self.views.share_by_id(dataset, snapshot)?)
    }

    /// Finds a name in a directory, also across the edge between a dataset and its snapshots.
    pub fn lookup(&self, directory: &Target, name: &[u8]) -> Result<(Target, Attributes), Status> {
        let dataset = directory.view.share.dataset;
        let (view, inode) = if directory.is_snapshots() {
            match name {
                b"." => (directory.view.clone(), SNAPSHOTS),
                b".." => (directory.view.clone(), InodeNumber::ROOT),
                _ => {
                    let name = std::str::from_utf8(name).map_err(|_| Status::NO_ENTRY)?;
                    let snapshot = self.views.snapshot_named(dataset, name)?;
                    (self.view(dataset, Some(snapshot))?, InodeNumber::ROOT)
                }
            }
        } else if directory.is_head_root() && name == SNAPSHOTS_NAME {
            directory.check_may_search()?;
            (directory.view.clone(), SNAPSHOTS)
        } else if directory.is_root() && !directory.is_head_root() && name == b".." {
            (self.view(dataset, None)?, SNAPSHOTS)
        } else {
            let attributes = directory.files().lookup(&directory.context, directory.inode, name)?;
            return Ok((directory.with_inode(attributes.inode), attributes));
        };
        let found = self.admitted(view, inode)?;
        let attributes = found.attributes()?;
        Ok((found, attributes))
    }

    /// The bytes of a target's handle.
    pub fn handle(&self, target: &Target) -> [u8; handle::LENGTH] {
        self.handle_of(target, target.inode)
    }

    /// The bytes of a handle for another file in the target's view.
    pub fn handle_of(&self, target: &Target, inode: InodeNumber) -> [u8; handle::LENGTH] {
        let (dataset, snapshot) = (target.view.share.dataset, target.view.snapshot);
        self.key.seal(&Handle { dataset, snapshot, inode })
    }
}

impl Seen {
    fn note(&self, dataset: DatasetId) {
        if self.dataset.get().is_none() {
            self.dataset.set(Some(dataset));
        }
    }
}

impl Target {
    /// Tells clients the view from every other one.
    pub fn fsid(&self) -> u64 {
        self.view.fsid
    }

    /// The view's files.
    pub fn files(&self) -> &dyn FileSystem {
        &*self.view.file_system
    }

    /// The dataset.
    pub fn dataset(&self) -> DatasetId {
        self.view.share.dataset
    }

    /// The file, as locks know it.
    pub fn file(&self) -> File {
        File { dataset: self.view.share.dataset, snapshot: self.view.snapshot, inode: self.inode }
    }

    /// Whether both are in one view, so that names can be moved between them.
    pub fn is_in_view_of(&self, other: &Self) -> bool {
        (self.view.share.dataset, self.view.snapshot) == (other.view.share.dataset, other.view.snapshot)
    }

    /// Whether this is the directory of snapshots, which is no inode.
    pub fn is_snapshots(&self) -> bool {
        self.inode == SNAPSHOTS
    }

    fn is_root(&self) -> bool {
        self.inode == InodeNumber::ROOT
    }

    fn is_head_root(&self) -> bool {
        self.is_root() && self.view.snapshot.is_none()
    }

    /// The group of what the superuser makes.
    pub fn superuser_group(&self) -> Option<u32> {
        Some(self.group).filter(|&group| self.context.caller == Caller::Superuser && group != 0)
    }

    /// The inode, of anything but the directory of snapshots.
    pub fn inode(&self) -> Result<InodeNumber, Status> {
        if self.is_snapshots() { Err(Status::IS_DIRECTORY) } else { Ok(self.inode) }
    }

    /// The inode, if the caller's share and view take changes.
    pub fn inode_to_change(&self) -> Result<InodeNumber, Status> {
        if self.writable && !self.is_snapshots() { Ok(self.inode) } else { Err(Status::READ_ONLY) }
    }

    /// The directory's inode, if `name` may be changed in it.
    pub fn directory_to_change(&self, name: &[u8]) -> Result<InodeNumber, Status> {
        let inode = self.inode_to_change()?;
        if self.is_head_root() && name == SNAPSHOTS_NAME { Err(Status::ACCESS) } else { Ok(inode) }
    }

    /// The file's attributes.
    pub fn attributes(&self) -> Result<Attributes, Status> {
        if !self.is_snapshots() {
            return Ok(self.files().attributes(self.inode)?);
        }
        let root = self.files().attributes(InodeNumber::ROOT)?;
        // Snapshots come and go without a trace in the tree, so the directory always looks new.
        Ok(Attributes {
            inode: SNAPSHOTS,
            mode: root.mode & 0o555,
            links: 2,
            modified: self.context.now,
            changed: self.context.now,
            ..root
        })
    }

    /// Bits of [`access`] that the caller has here.
    pub fn granted(&self, attributes: &Attributes) -> u8 {
        let bits = granted(attributes, &self.context.caller);
        if self.writable && !self.is_snapshots() { bits } else { bits & !access::WRITE }
    }

    /// Fails unless the caller may read the file's data. Its owner may whatever the mode says, since an
    /// open descriptor stays good; who may execute may, since the client reads to execute.
    pub fn check_may_read(&self, attributes: &Attributes) -> Result<(), Status> {
        self.check_file(attributes, access::READ | access::EXECUTE)
    }

    /// Fails unless the caller may write the file's data. Its owner may whatever the mode says.
    pub fn check_may_write(&self, attributes: &Attributes) -> Result<(), Status> {
        self.check_file(attributes, access::WRITE)
    }

    /// Fails unless this is a regular file, which alone has data.
    pub fn check_is_file(&self, attributes: &Attributes) -> Result<(), Status> {
        match attributes.kind {
            FileKind::Regular => Ok(()),
            FileKind::Directory => Err(Status::IS_DIRECTORY),
            _ => Err(Status::INVALID),
        }
    }

    fn check_file(&self, attributes: &Attributes, any_of: u8) -> Result<(), Status> {
        self.check_is_file(attributes)?;
        let owns = matches!(&self.context.caller, Caller::User(user) if user.uid == attributes.uid);
        if owns || granted(attributes, &self.context.caller) & any_of != 0 { Ok(()) } else { Err(Status::ACCESS) }
    }

    fn check_may_search(&self) -> Result<(), Status> {
        if self.granted(&self.attributes()?) & access::EXECUTE == 0 {
            return Err(Error::from(ErrorKind::Access).into());
        }
        Ok(())
    }

    fn with_inode(&self, inode: InodeNumber) -> Self {
        Self { view: self.view.clone(), context: self.context.clone(), inode, ..*self }
    }
}
