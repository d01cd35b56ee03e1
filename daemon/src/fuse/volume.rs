//! A view as it is mounted: what all requests share.
//!
//! Invariant: nothing is changed through a mount that is read-only, nor in a snapshot; and no request is
//! answered from a view other than the one that was mounted.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use cow_api::v1::MountOptions;
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Attributes, Caller, Context, Credentials, FileSystem, check_access};
use fuser::{Errno, FileAttr};

use crate::clock;
use crate::fuse::attributes::shown;
use crate::fuse::caller::{Asker, Callers, context};
use crate::fuse::counters::Counting;
use crate::fuse::failure::Outcome;
use crate::fuse::locking::Locking;
use crate::fuse::nodes::Nodes;
use crate::shares::{Identity, SNAPSHOTS_NAME, View};

/// How long the kernel may go by what it was told of a dataset: so long it may not see what an NFS client changed.
pub const LIFETIME: Duration = Duration::from_secs(1);
/// The same of a snapshot, of which nothing ever changes.
const LIFETIME_OF_SNAPSHOTS: Duration = Duration::from_hours(24);
/// How long a request waits for a verb that keeps changes out, such as a rewind.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(2);

/// A view as it is mounted.
pub struct Volume {
    view: View,
    writable: bool,
    callers: Callers,
    /// What programs have locked in it.
    pub locking: Locking,
    /// What the kernel knows of it.
    pub nodes: Nodes,
    /// What was asked.
    pub counting: Arc<Counting>,
    /// Whether files that are opened with `O_DIRECT` pass the kernel's pages by, as it can have several writes of one under way then.
    pub direct: AtomicBool,
}

impl Volume {
    /// A view to be mounted, with the locks of its programs.
    pub fn new(view: View, locking: Locking, options: MountOptions, counting: Arc<Counting>) -> Self {
        let callers = Callers::new(&view.share.access, options.root_squash);
        let writable = !options.read_only && view.snapshot.is_none();
        Self { view, writable, callers, locking, nodes: Nodes::default(), counting, direct: AtomicBool::new(false) }
    }

    /// The files.
    pub fn files(&self) -> &dyn FileSystem {
        &*self.view.file_system
    }

    /// Whether nothing of it ever changes.
    pub fn is_snapshot(&self) -> bool {
        self.view.snapshot.is_some()
    }

    /// How long the kernel may go by what it is told.
    pub fn lifetime(&self) -> Duration {
        if self.is_snapshot() { LIFETIME_OF_SNAPSHOTS } else { LIFETIME }
    }

    /// Attributes as the kernel has them.
    pub fn shown(&self, attributes: &Attributes) -> FileAttr {
        shown(attributes, self.files().block_size())
    }

    /// Whom the asker is taken for, with all its groups, and the call's context.
    pub fn identified(&self, asker: Asker) -> Outcome<(Identity, Context)> {
        let identity = self.callers.full(asker)?;
        let context = context(identity.caller.clone(), clock::now());
        Ok((identity, context))
    }

    /// The context of what the kernel does for a file that is open: its permission was checked then.
    pub fn as_opener(&self) -> Context {
        context(Caller::Superuser, clock::now())
    }

    /// The same, for a change of content that takes the bits that set user and group: the owner's, who may
    /// always write.
    pub fn as_owner(&self, inode: InodeNumber) -> Outcome<Context> {
        let attributes = self.files().attributes(inode)?;
        let credentials = Credentials { uid: attributes.uid, gid: attributes.gid, groups: Vec::new() };
        Ok(context(Caller::User(credentials), clock::now()))
    }

    /// Does what a permission is needed for; asks for the groups of the asker only if it is refused without.
    ///
    /// A group can also take a permission away, but that the kernel has seen to.
    pub fn permitted<T>(&self, asker: Asker, act: impl Fn(&Context) -> Result<T, Error>) -> Outcome<T> {
        let plain = context(self.callers.plain(asker)?.caller, clock::now());
        match patiently(|| act(&plain)) {
            Err(error) if asker.uid != 0 && matches!(error.kind(), ErrorKind::Access | ErrorKind::Permission) => {
                let (_, context) = self.identified(asker)?;
                Ok(patiently(|| act(&context))?)
            }
            other => Ok(other?),
        }
    }

    /// Checks bits of [`cow_storage::fs::access`].
    pub fn check(&self, asker: Asker, attributes: &Attributes, wanted: u8) -> Outcome<()> {
        self.permitted(asker, |context| check_access(attributes, &context.caller, wanted))
    }

    /// Fails unless it may be changed.
    pub fn check_writable(&self) -> Outcome<()> {
        if self.writable { Ok(()) } else { Err(Errno::EROFS.into()) }
    }

    /// Fails unless this name may be given in the directory: in a dataset's root, one is the snapshots'.
    pub fn check_name(&self, directory: InodeNumber, name: &[u8]) -> Outcome<()> {
        self.check_writable()?;
        if directory == InodeNumber::ROOT && name == SNAPSHOTS_NAME { Err(Errno::EACCES.into()) } else { Ok(()) }
    }

    /// What is set of a new object besides its mode: what root makes has the group that root has.
    pub fn initial(&self, directory: InodeNumber, identity: &Identity) -> Outcome<AttributeChange> {
        let mut initial = AttributeChange::default();
        if identity.caller == Caller::Superuser
            && identity.group != 0
            && self.files().attributes(directory)?.mode & 0o2000 == 0
        {
            initial.gid = Some(identity.group);
        }
        Ok(initial)
    }
}

/// Does something again while a verb keeps changes out: NFS clients are told to come back, programs cannot be.
pub fn patiently<T>(act: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let mut until = None;
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::Busy => {
                let until = *until.get_or_insert_with(|| Instant::now() + PATIENCE);
                if Instant::now() >= until {
                    return Err(error);
                }
                thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}
