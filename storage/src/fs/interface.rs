//! What a file system can be asked, whatever asks: NFS, FUSE, import, a test's model.
//!
//! Every call is atomic. Attributes that a call returns as `before` and `after` are those of the
//! instant around it (RFC 1813's weak cache consistency data is made of them). Unless the
//! [`Context`] says otherwise, a call that changes names or attributes has made the change durable
//! when it returns.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};

/// Longest name of a directory entry, in bytes.
pub const NAME_MAX: usize = 255;
/// Longest target of a symbolic link, in bytes.
pub const SYMLINK_MAX: usize = 4095;
/// Largest size of a file, in bytes: 8 EiB less one.
pub const FILE_SIZE_MAX: u64 = i64::MAX as u64;
/// Most hard links to one inode.
pub const LINK_MAX: u32 = 65_000;

/// Who calls, when, and what the reply promises.
#[derive(Clone, Debug)]
pub struct Context {
    /// The present, for timestamps.
    pub now: Timestamp,
    /// Whose permissions count.
    pub caller: Caller,
    /// Whether a change is durable when the call returns, or only at the next commit or sync.
    pub durable: bool,
    /// Which call this is, if its caller may send it again without knowing whether it was done: kept with a change of names or
    /// attributes until the next commit, so that whoever opens the pool after a crash can tell.
    pub call: Option<CallId>,
}

/// Names a call of a client, drawn from who called, by which number, for what: equal only if it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub [u8; 16]);

/// Whose permissions count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Passes every permission check.
    Superuser,
    /// A user, after any squashing.
    User(Credentials),
}

/// A user's identity.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
}

/// What kind of object an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device node.
    BlockDevice,
    /// A character device node.
    CharacterDevice,
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
}

/// All that `stat` tells, and a change counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The inode.
    pub inode: InodeNumber,
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, 07777.
    pub mode: u32,
    /// Hard links; for a directory 2 and one for each subdirectory.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Bytes: of a file its length, of a symlink its target's, of a directory a function of its entries.
    pub size: u64,
    /// Bytes allocated, logical: holes do not count, compression and sharing do not help.
    pub allocated: u64,
    /// Device numbers, of device nodes.
    pub device: (u32, u32),
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Creation.
    pub created: Timestamp,
    /// Grows with every change of content or attributes.
    pub change: u64,
}

/// The attributes around a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Just before.
    pub before: Attributes,
    /// Just after.
    pub after: Attributes,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The present: whoever may write may ask for it.
    Now,
    /// A given time: only the owner may ask for it.
    To(Timestamp),
}

/// Attributes to set; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AttributeChange {
    /// Permission bits, 07777.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Owning group.
    pub gid: Option<u32>,
    /// Length: truncates, or extends by a hole.
    pub size: Option<u64>,
    /// Last access.
    pub accessed: Option<SetTime>,
    /// Last change of content.
    pub modified: Option<SetTime>,
    /// Creation; only import sets it.
    pub created: Option<Timestamp>,
}

/// What to create under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewObject {
    /// A regular file. `exclusive` is NFSv3's verifier: a file that was created with the same one
    /// is returned as if just created; it is forgotten when attributes are next set.
    Regular {
        /// The verifier, for an exclusive create.
        exclusive: Option<u64>,
    },
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A block device node with its major and minor number.
    BlockDevice(u32, u32),
    /// A character device node with its major and minor number.
    CharacterDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
}

/// A new object and the directory it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The object.
    pub object: Attributes,
    /// Its directory.
    pub directory: Changed,
}

/// Around a rename. The two are equal when it was within one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The directory that the name left.
    pub from: Changed,
    /// The directory that has it now.
    pub to: Changed,
}

/// A new hard link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The object, with one link more.
    pub object: Attributes,
    /// The directory that has the new name.
    pub directory: Changed,
}

/// What a read got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Bytes put into the buffer's front.
    pub length: usize,
    /// Whether the file ends there.
    pub end_of_file: bool,
}

/// What a write's reply promises (RFC 1813, 3.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Nothing, until [`FileSystem::sync`].
    Unstable,
    /// The data, and what is needed to get at it.
    Data,
    /// The data and all attributes.
    File,
}

/// One name in a directory. `.` and `..` are not listed; callers add them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name's bytes.
    pub name: Vec<u8>,
    /// What it names.
    pub inode: InodeNumber,
    /// What kind that is.
    pub kind: FileKind,
    /// Where to go on after this entry: greater than 2, below 2^63, and stable.
    pub cookie: u64,
}

/// A part of a directory's listing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DirectoryPage {
    /// Entries in cookie order.
    pub entries: Vec<DirectoryEntry>,
    /// Whether no entry follows.
    pub end: bool,
}

/// What [`FileSystem::seek`] looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTarget {
    /// The next byte that is allocated.
    Data,
    /// The next byte that is not; the end of the file counts as one.
    Hole,
}

/// Whether an extended attribute must be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Either way.
    Any,
    /// Fail with `Exists` if it is there (XATTR_CREATE).
    Create,
    /// Fail with `NotFound` if it is not (XATTR_REPLACE).
    Replace,
}

/// What `statfs` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystemUsage {
    /// Bytes that this dataset could hold: its quota, or what it uses and the pool has free.
    pub total: u64,
    /// Bytes free to it.
    pub free: u64,
    /// Inodes in use.
    pub inodes: u64,
}

/// Permissions, as NFSv3's ACCESS and access(2) ask for them.
pub mod access {
    /// Read data or list a directory.
    pub const READ: u8 = 4;
    /// Write data or change a directory.
    pub const WRITE: u8 = 2;
    /// Execute a file or search a directory.
    pub const EXECUTE: u8 = 1;
}

/// A file system: the head of a dataset, or a snapshot of one (which answers every change with `ReadOnly`).
pub trait FileSystem: Send + Sync {
    /// Bytes in a block: the unit of writing without reading first.
    fn block_size(&self) -> u32;

    /// An inode's attributes. `Stale` if there is none.
    fn attributes(&self, inode: InodeNumber) -> Result<Attributes>;

    /// Sets attributes. Where `guard` is given and is not the file's `changed`, fails with `Conflict`.
    fn set_attributes(
        &self,
        context: &Context,
        inode: InodeNumber,
        change: &AttributeChange,
        guard: Option<Timestamp>,
    ) -> Result<Changed>;

    /// Finds a name. `.` and `..` work.
    fn lookup(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Attributes>;

    /// A symbolic link's target.
    fn read_link(&self, context: &Context, inode: InodeNumber) -> Result<Vec<u8>>;

    /// Reads into `buffer`. The caller checked, or opened, for reading: the owner may always read.
    fn read(&self, context: &Context, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<ReadOutcome>;

    /// Writes all of `data`, or nothing. The owner may always write (as with an open descriptor).
    fn write(
        &self,
        context: &Context,
        inode: InodeNumber,
        offset: u64,
        data: &[u8],
        stability: Stability,
    ) -> Result<Changed>;

    /// Makes the file's data and attributes durable: fsync and COMMIT.
    fn sync(&self, inode: InodeNumber) -> Result<()>;

    /// Returns when all changes of names and attributes that were made so far are durable: also those whose [`Context`] did
    /// not ask for it. Callers that wait at once share a flush.
    fn settle(&self) -> Result<()>;

    /// Makes a new object. `mode` is masked already; `initial` sets more at once (its size only for files).
    fn create(
        &self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        object: &NewObject,
        mode: u32,
        initial: &AttributeChange,
    ) -> Result<Created>;

    /// Makes one more name for an object that is no directory.
    fn link(&self, context: &Context, inode: InodeNumber, directory: InodeNumber, name: &[u8]) -> Result<Linked>;

    /// Removes a name that is no directory's.
    fn remove(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed>;

    /// Removes an empty directory.
    fn remove_directory(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed>;

    /// Renames, replacing what has the new name where POSIX allows it.
    fn rename(
        &self,
        context: &Context,
        from_directory: InodeNumber,
        from: &[u8],
        to_directory: InodeNumber,
        to: &[u8],
    ) -> Result<Renamed>;

    /// Entries whose cookie is greater than `after` (0: from the start), at most `limit` of them.
    fn read_directory(
        &self,
        context: &Context,
        directory: InodeNumber,
        after: u64,
        limit: usize,
    ) -> Result<DirectoryPage>;

    /// The directory that holds this directory.
    fn parent(&self, directory: InodeNumber) -> Result<InodeNumber>;

    /// Makes a range a hole; the size stays.
    fn punch(&self, context: &Context, inode: InodeNumber, offset: u64, length: u64) -> Result<Changed>;

    /// The next data or hole at or after `offset`, or `None` past the end.
    fn seek(&self, inode: InodeNumber, offset: u64, target: SeekTarget) -> Result<Option<u64>>;

    /// The names of extended attributes, sorted.
    fn list_xattrs(&self, context: &Context, inode: InodeNumber) -> Result<Vec<Vec<u8>>>;

    /// An extended attribute's value.
    fn xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Vec<u8>>;

    /// Sets an extended attribute; at most 64 KiB.
    fn set_xattr(
        &self,
        context: &Context,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()>;

    /// Removes an extended attribute.
    fn remove_xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()>;

    /// Keeps an inode alive, names or none, until [`FileSystem::release`].
    fn retain(&self, inode: InodeNumber) -> Result<()>;

    /// Ends one [`FileSystem::retain`].
    fn release(&self, inode: InodeNumber);

    /// Room and inodes.
    fn usage(&self) -> Result<FileSystemUsage>;

    /// Changes whenever unstable writes may have been lost (NFSv3's write verifier).
    fn write_verifier(&self) -> u64;
}

/// Checks that the permission bits of `attributes` give `caller` all of `wanted` (bits of [`access`]).
pub fn check_access(attributes: &Attributes, caller: &Caller, wanted: u8) -> Result<()> {
    if granted(attributes, caller) & wanted == wanted { Ok(()) } else { Err(Error::from(ErrorKind::Access)) }
}

/// The bits of [`access`] that `caller` has on an object.
///
/// The superuser has all, but may execute a file only if somebody may.
pub fn granted(attributes: &Attributes, caller: &Caller) -> u8 {
    let mode = attributes.mode;
    let bits = match caller {
        Caller::Superuser => {
            let may_execute = attributes.kind == FileKind::Directory || mode & 0o111 != 0;
            return access::READ | access::WRITE | if may_execute { access::EXECUTE } else { 0 };
        }
        Caller::User(user) if user.uid == attributes.uid => mode >> 6,
        Caller::User(user) if user.gid == attributes.gid || user.groups.contains(&attributes.gid) => mode >> 3,
        Caller::User(_) => mode,
    };
    (bits & 7) as u8
}
