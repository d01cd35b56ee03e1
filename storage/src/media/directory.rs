//! Files in a directory of a host file system, read and written past the page cache.
//!
//! Invariants: one process at a time has the directory (it holds a lock on the file `lock`); a
//! file's length is exactly what was asked for, though direct I/O moves whole 4 KiB sectors.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::media::buffer::BufferPool;
use crate::media::direct::DirectoryFile;
use crate::media::{Media, MediaFile, MediaSpace, check_name};

/// The file whose lock says that the directory is in use.
const LOCK_NAME: &str = "lock";

/// Bytes of bounce buffers kept for transfers that are not aligned.
const BOUNCE_LEN_MAX: usize = 16 << 20;

/// A directory of the host. Dropping it lets another process have it.
#[derive(Debug)]
pub struct Directory {
    directory: OwnedFd,
    _lock: OwnedFd,
    direct: bool,
    buffers: Arc<BufferPool>,
}

impl Directory {
    /// Takes the directory at `path`, which must be there. `Busy` if another process has it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |errno| media_error(errno, format!("cannot open the pool directory {}", path.display()));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&directory, LOCK_NAME, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let message = format!("the pool directory {} is in use by another process", path.display());
                return Err(Error::new(ErrorKind::Busy, message));
            }
            other => other.map_err(failed)?,
        }
        // Asked of a file that is there: some file systems create the file before they refuse O_DIRECT.
        let direct = rustix::fs::openat(&directory, LOCK_NAME, OFlags::RDWR | OFlags::DIRECT, Mode::empty()).is_ok();
        Ok(Self { directory, _lock: lock, direct, buffers: BufferPool::new(BOUNCE_LEN_MAX) })
    }

    fn open_file(&self, name: &str, more: OFlags) -> rustix::io::Result<DirectoryFile> {
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | more;
        flags.set(OFlags::DIRECT, self.direct);
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(DirectoryFile::new(File::from(file), name.to_owned(), self.direct, Arc::clone(&self.buffers)))
    }
}

impl Media for Directory {
    fn list(&self) -> Result<Vec<String>> {
        let failed = |errno| media_error(errno, "cannot list the pool directory");
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Names that are not UTF-8, and folders such as lost+found, are none of ours.
            let Ok(name) = entry.file_name().to_str() else { continue };
            let found = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let regular = rustix::fs::FileType::from_raw_mode(found.st_mode).is_file();
            if regular && name != LOCK_NAME {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, length: u64) -> Result<Arc<dyn MediaFile>> {
        check_own_name(name)?;
        let failed = |errno| media_error(errno, format!("cannot create the file {name} of {length} bytes"));
        // Asked first, since some hosts take all the room there is before they say that it does not suffice.
        if length > self.space()?.free {
            return Err(failed(Errno::NOSPC));
        }
        let file = self.open_file(name, OFlags::CREATE | OFlags::EXCL).map_err(failed)?;
        if let Err(errno) = file.preallocate(length) {
            // The name is ours and empty; if even this fails, the first error tells more.
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
            return Err(failed(errno));
        }
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn MediaFile>> {
        check_own_name(name)?;
        let failed = |errno| media_error(errno, format!("cannot open the file {name}"));
        Ok(Arc::new(self.open_file(name, OFlags::empty()).map_err(failed)?))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_own_name(from)?;
        check_own_name(to)?;
        rustix::fs::renameat(&self.directory, from, &self.directory, to)
            .map_err(|errno| media_error(errno, format!("cannot rename the file {from} to {to}")))
    }

    fn unlink(&self, name: &str) -> Result<()> {
        check_own_name(name)?;
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())
            .map_err(|errno| media_error(errno, format!("cannot remove the file {name}")))
    }

    fn sync_directory(&self) -> Result<()> {
        rustix::fs::fsync(&self.directory).map_err(|errno| media_error(errno, "cannot sync the pool directory"))
    }

    fn space(&self) -> Result<MediaSpace> {
        let found = rustix::fs::fstatvfs(self.directory.as_fd())
            .map_err(|errno| media_error(errno, "cannot ask for the space of the pool directory"))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(MediaSpace { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }

    fn release_memory(&self) {
        self.buffers.release();
    }
}

fn check_own_name(name: &str) -> Result<()> {
    check_name(name)?;
    if name == LOCK_NAME {
        return Err(Error::new(ErrorKind::Invalid, "the name lock is taken by the pool directory's own lock"));
    }
    Ok(())
}

/// Wraps what the host said. `message` names the act.
pub(crate) fn media_error(cause: impl Into<io::Error>, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    let cause = cause.into();
    let kind = match Errno::from_io_error(&cause) {
        Some(Errno::NOENT) => ErrorKind::NotFound,
        Some(Errno::EXIST) => ErrorKind::Exists,
        Some(Errno::NOSPC | Errno::DQUOT) => ErrorKind::NoSpace,
        Some(Errno::ACCESS) => ErrorKind::Access,
        Some(Errno::OPNOTSUPP) => ErrorKind::Unsupported,
        Some(Errno::NOTDIR) => ErrorKind::NotDirectory,
        _ => ErrorKind::Io,
    };
    Error::because(kind, message, cause)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::media::tests::agrees_with_model;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cow-media-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn direct_and_buffered_directories_agree_with_a_model() {
        let scratch = Scratch::new("model");
        let mut directory = Directory::open(&scratch.0).unwrap();
        for (seed, direct) in [(1, true), (2, false), (3, true)] {
            directory.direct &= direct;
            agrees_with_model(&directory, seed, 150);
        }
    }

    #[test]
    fn has_one_owner_and_hides_its_lock() {
        let scratch = Scratch::new("lock");
        let first = Directory::open(&scratch.0).unwrap();
        assert_eq!(Directory::open(&scratch.0).unwrap_err().kind(), ErrorKind::Busy);
        assert!(first.list().unwrap().is_empty());
        assert_eq!(first.unlink("lock").unwrap_err().kind(), ErrorKind::Invalid);
        drop(first);
        Directory::open(&scratch.0).unwrap();
        assert_eq!(Directory::open(scratch.0.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_does_not_fit_leaves_no_name() {
        let scratch = Scratch::new("full");
        let directory = Directory::open(&scratch.0).unwrap();
        assert_eq!(directory.create("huge", 1 << 60).err().unwrap().kind(), ErrorKind::NoSpace);
        let file = directory.open_file("huge", OFlags::CREATE | OFlags::EXCL).unwrap();
        assert!(file.preallocate(1 << 60).is_err());
        directory.unlink("huge").unwrap();
        assert!(directory.list().unwrap().is_empty());
        assert!(directory.space().unwrap().free > 0);
    }
}
