//! Directories of the host, reached by descriptors: no name is resolved through a symbolic link.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::Timestamp;
use cow_storage::fs::FileKind;
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

/// Extended attributes, by the names under which a dataset keeps them.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where a dataset keeps attributes that it does not heed itself: shares go by modes, not by access control lists.
const UNHEEDED_PREFIX: &[u8] = b"trusted.cow.";
/// The access control lists of a file or directory.
const ACCESS_LIST_PREFIX: &[u8] = b"system.posix_acl_";
/// Names of extended attributes that are a file's own, and not its host's.
const XATTR_PREFIXES: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", ACCESS_LIST_PREFIX];

/// What the host says of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostObject {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Bytes of data to expect; holes do not count.
    pub data: u64,
    pub device: (u32, u32),
    pub links: u32,
    /// Device and inode.
    pub identity: (u32, u32, u64),
    /// What it is mounted by: another number than its directory's for the root of a mount.
    pub mount: (u32, u32, u64),
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
    pub created: Option<Timestamp>,
}

impl HostObject {
    /// Whether content and attributes are as they were at `other`.
    pub(super) fn is_unchanged_since(&self, other: &Self) -> bool {
        (self.identity, self.size, self.modified, self.changed)
            == (other.identity, other.size, other.modified, other.changed)
    }
}

/// An open directory of the host.
pub struct HostFolder(OwnedFd);

impl HostFolder {
    /// Opens a directory by a path that the user gave, which may lead over symbolic links.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat(CWD, path, flags, Mode::empty())
            .map(Self)
            .map_err(|errno| host_error(errno, format!("cannot open the directory {}", path.display())))
    }

    /// Opens the directory at `path`, unless that is a symbolic link.
    pub(super) fn open_itself(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(CWD, path, flags, Mode::empty())
            .map(Self)
            .map_err(|errno| host_error(errno, format!("cannot open the directory {}", path.display())))
    }

    /// Opens a directory in this one.
    pub(super) fn enter(&self, name: &[u8]) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let without_trace = fs::openat(&self.0, name, flags | OFlags::NOATIME, Mode::empty());
        let opened = match without_trace {
            Err(Errno::PERM) => fs::openat(&self.0, name, flags, Mode::empty()),
            opened => opened,
        };
        opened.map(Self).map_err(|errno| host_error(errno, "cannot open the directory"))
    }

    /// Opens a regular file for reading. What is none is refused by the kernel, or by the caller who looks.
    pub(super) fn open_file(&self, name: &[u8]) -> Result<OwnedFd> {
        // Without NONBLOCK, a pipe that took the file's place would hold this thread for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let without_trace = fs::openat(&self.0, name, flags | OFlags::NOATIME, Mode::empty());
        let opened = match without_trace {
            Err(Errno::PERM) => fs::openat(&self.0, name, flags, Mode::empty()),
            opened => opened,
        };
        opened.map_err(|errno| host_error(errno, "cannot open it"))
    }

    /// Its names, sorted by bytes.
    pub(super) fn names(&self) -> Result<Vec<Vec<u8>>> {
        let failed = |errno| host_error(errno, "cannot list the directory");
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What `name` is; a symbolic link itself, not what it leads to.
    pub(super) fn describe(&self, name: &[u8]) -> Result<HostObject> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let found = fs::statx(&self.0, name, flags, wanted()).map_err(cannot_describe)?;
        object_of(&found)
    }

    /// Where the symbolic link `name` leads.
    pub(super) fn read_link(&self, name: &[u8]) -> Result<Vec<u8>> {
        let target = fs::readlinkat(&self.0, name, Vec::new());
        target.map(std::ffi::CString::into_bytes).map_err(|errno| host_error(errno, "cannot read the symbolic link"))
    }

    /// A path to `name` that leads through this very directory, for the calls that take only paths.
    pub(super) fn path_of(&self, name: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let folder = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        folder.join(std::ffi::OsStr::from_bytes(name))
    }

    /// A path to what is open, whatever its name is.
    pub(super) fn path_of_open(file: impl AsFd) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
    }

    /// The same directory, to be held by another.
    pub(super) fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self).map_err(|error| Error::because(ErrorKind::Io, "cannot hold the directory", error))
    }

    /// The extended attributes of what cannot be opened: a symbolic link, a device.
    pub(super) fn xattrs(&self, name: &[u8]) -> Result<Xattrs> {
        let path = self.path_of(name);
        read_xattrs(
            || fs::llistxattr_query(&path),
            |names| fs::llistxattr(&path, names),
            |name| fs::lgetxattr_query(&path, name),
            |name, value| fs::lgetxattr(&path, name, value),
        )
    }
}

impl AsFd for HostFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What an open file or directory is.
pub fn describe_open(file: impl AsFd) -> Result<HostObject> {
    let found = fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted()).map_err(cannot_describe)?;
    object_of(&found)
}

/// The extended attributes of an open file or directory.
pub fn xattrs_open(file: impl AsFd) -> Result<Xattrs> {
    let file = file.as_fd();
    read_xattrs(
        || fs::flistxattr_query(file),
        |names| fs::flistxattr(file, names),
        |name| fs::fgetxattr_query(file, name),
        |name, value| fs::fgetxattr(file, name, value),
    )
}

/// The name under which a dataset keeps the host's extended attribute `name`.
pub fn kept_name(name: Vec<u8>) -> Vec<u8> {
    if name.starts_with(ACCESS_LIST_PREFIX) { [UNHEEDED_PREFIX, &name].concat() } else { name }
}

/// Whether a dataset keeps this for the host, and does not heed it.
pub fn is_unheeded(kept: &[u8]) -> bool {
    kept.strip_prefix(UNHEEDED_PREFIX).is_some_and(|name| name.starts_with(ACCESS_LIST_PREFIX))
}

/// The host's name of an extended attribute that a dataset keeps.
pub fn host_name(kept: &[u8]) -> &[u8] {
    if is_unheeded(kept) { &kept[UNHEEDED_PREFIX.len()..] } else { kept }
}

/// Names what the host refused, with a kind for those who decide upon it.
pub fn host_error(errno: Errno, act: impl Into<String>) -> Error {
    let kind = match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::EXIST => ErrorKind::Exists,
        Errno::NOTEMPTY => ErrorKind::NotEmpty,
        Errno::NOTDIR => ErrorKind::NotDirectory,
        Errno::ISDIR => ErrorKind::IsDirectory,
        Errno::INVAL | Errno::LOOP => ErrorKind::Invalid,
        Errno::NAMETOOLONG => ErrorKind::NameTooLong,
        Errno::MLINK => ErrorKind::TooManyLinks,
        Errno::FBIG | Errno::OVERFLOW => ErrorKind::TooLarge,
        Errno::ACCESS => ErrorKind::Access,
        Errno::PERM => ErrorKind::Permission,
        Errno::ROFS => ErrorKind::ReadOnly,
        Errno::NOSPC => ErrorKind::NoSpace,
        Errno::DQUOT => ErrorKind::Quota,
        Errno::BUSY => ErrorKind::Busy,
        Errno::STALE => ErrorKind::Stale,
        Errno::NOTSUP => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    };
    Error::because(kind, act.into(), std::io::Error::from(errno))
}

fn cannot_describe(errno: Errno) -> Error {
    host_error(errno, "cannot read its attributes")
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID
}

fn object_of(found: &Statx) -> Result<HostObject> {
    let time = |time: StatxTimestamp| Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec };
    let has = |flag: StatxFlags| found.stx_mask & flag.bits() != 0;
    let device = (found.stx_dev_major, found.stx_dev_minor);
    let allocated = found.stx_blocks.saturating_mul(512);
    // Some file systems keep short files within the inode, and say that nothing is allocated.
    let data = if found.stx_size <= 64 << 10 { found.stx_size } else { found.stx_size.min(allocated) };
    let kind = kind_of(FileType::from_raw_mode(found.stx_mode.into()))?;
    Ok(HostObject {
        kind,
        mode: u32::from(found.stx_mode) & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        size: found.stx_size,
        data: if kind == FileKind::Regular { data } else { 0 },
        device: (found.stx_rdev_major, found.stx_rdev_minor),
        links: found.stx_nlink,
        identity: (device.0, device.1, found.stx_ino),
        mount: if has(StatxFlags::MNT_ID) { (0, 0, found.stx_mnt_id) } else { (device.0, device.1, 0) },
        accessed: time(found.stx_atime),
        modified: time(found.stx_mtime),
        changed: time(found.stx_ctime),
        created: has(StatxFlags::BTIME).then(|| time(found.stx_btime)),
    })
}

fn kind_of(kind: FileType) -> Result<FileKind> {
    Ok(match kind {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::CharacterDevice => FileKind::CharacterDevice,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::Unknown => return Err(Error::new(ErrorKind::Unsupported, "an object of a kind that is not known")),
    })
}

/// Reads extended attributes by four calls, of which the queries say how long an answer is.
fn read_xattrs(
    list_len: impl Fn() -> rustix::io::Result<usize>,
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    value_len: impl Fn(&[u8]) -> rustix::io::Result<usize>,
    value: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> Result<Xattrs> {
    let failed = |errno| host_error(errno, "cannot read its extended attributes");
    let mut xattrs = Xattrs::new();
    let names = match filled(&list_len, &list) {
        Err(Errno::NOTSUP) => return Ok(xattrs),
        names => names.map_err(failed)?,
    };
    for name in names.split(|byte| *byte == 0) {
        if !XATTR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        match filled(|| value_len(name), |buffer: &mut [u8]| value(name, buffer)) {
            Ok(value) => drop(xattrs.insert(kept_name(name.to_owned()), value)),
            // It went since it was listed, or belongs to a security module that does not tell.
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(xattrs)
}

/// Asks how long an answer is and then for the answer, again if it has grown in between.
fn filled(
    length: impl Fn() -> rustix::io::Result<usize>,
    fill: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    loop {
        let mut answer = vec![0; length()?];
        if answer.is_empty() {
            return Ok(answer);
        }
        match fill(&mut answer) {
            Err(Errno::RANGE) => {}
            filled => {
                answer.truncate(filled?);
                return Ok(answer);
            }
        }
    }
}
