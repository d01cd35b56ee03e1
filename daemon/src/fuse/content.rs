//! Requests about a file's bytes.
//!
//! Invariant: who has a file open may go on, whatever becomes of its mode or of the program's user; so what
//! permission it takes is checked when it is opened.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Attributes, FILE_SIZE_MAX, FileKind, SeekTarget, Stability, access};
use fuser::{Errno, FopenFlags, OpenAccMode, OpenFlags};
use rustix::fs::OFlags;

use crate::fuse::caller::Asker;
use crate::fuse::failure::Outcome;
use crate::fuse::names::Place;
use crate::fuse::volume::{Volume, patiently};

/// Most bytes of one read or write.
pub const TRANSFER_MAX: u32 = 1 << 20;

/// The kernel opens to execute: reading need not be allowed.
const FOR_EXECUTION: i32 = 0o40;

/// `O_EXCL`.
const EXCLUSIVE: i32 = 0o200;

const KEEP_SIZE: i32 = 1;
const PUNCH_HOLE: i32 = 2;
const ZERO_RANGE: i32 = 16;

const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

thread_local! {
    /// What is read goes through here: fresh memory costs more than the copy.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Volume {
    /// Opens a file, and tells how the kernel is to treat it.
    pub fn open(&self, asker: Asker, inode: InodeNumber, flags: OpenFlags) -> Outcome<FopenFlags> {
        let wanted = match flags.acc_mode() {
            OpenAccMode::O_RDONLY if flags.0 & FOR_EXECUTION != 0 => access::EXECUTE,
            OpenAccMode::O_RDONLY => access::READ,
            OpenAccMode::O_WRONLY => access::WRITE,
            OpenAccMode::O_RDWR => access::READ | access::WRITE,
        };
        if wanted & access::WRITE != 0 {
            self.check_writable()?;
        }
        self.check(asker, &self.attributes(inode)?, wanted)?;
        Ok(self.hold(inode)? | self.direct(flags.0))
    }

    /// Has the kernel not serialize the direct writes of a file that is opened with these flags.
    fn direct(&self, flags: i32) -> FopenFlags {
        let is_direct = flags & OFlags::DIRECT.bits() as i32 != 0 && self.direct.load(Ordering::Relaxed);
        if is_direct {
            FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
        } else {
            FopenFlags::empty()
        }
    }

    /// Makes a file, or finds it, and opens it. Whoever has made it may write to it whatever its mode is.
    pub fn make_and_open(
        &self,
        asker: Asker,
        at: Place<'_>,
        mode: u32,
        flags: i32,
    ) -> Outcome<(Attributes, FopenFlags)> {
        let (found, is_new) = self.make_or_find(asker, at, mode, flags & EXCLUSIVE != 0)?;
        let held = || Ok(self.hold(found.inode)? | self.direct(flags));
        let opened = if is_new { held() } else { self.open(asker, found.inode, OpenFlags(flags)) };
        match opened {
            Ok(flags) => Ok((found, flags)),
            Err(failure) => {
                self.nodes.forget(found.inode, 1);
                Err(failure)
            }
        }
    }

    /// Opens a directory, to list it.
    pub fn open_directory(&self, asker: Asker, inode: InodeNumber) -> Outcome<FopenFlags> {
        self.check(asker, &self.attributes(inode)?, access::READ)?;
        self.hold(inode)?;
        let of_snapshots = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        Ok(if self.is_snapshot() { of_snapshots } else { FopenFlags::empty() })
    }

    /// Keeps a file or directory alive while it is open.
    pub fn hold(&self, inode: InodeNumber) -> Outcome<FopenFlags> {
        self.files().retain(inode)?;
        // Asked once it is held, so that no change is missed between.
        let attributes = self.files().attributes(inode).inspect_err(|_| self.files().release(inode))?;
        let change = (attributes.kind == FileKind::Regular).then_some(attributes.change);
        let is_good = self.nodes.open(inode, change) || self.is_snapshot();
        Ok(if is_good { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::empty() })
    }

    /// Lets go of what is closed.
    pub fn release(&self, inode: InodeNumber) {
        self.nodes.close(inode);
        self.files().release(inode);
    }

    /// Reads, and hands what there is to `answer`.
    pub fn read(&self, inode: InodeNumber, offset: u64, size: u32, answer: impl FnOnce(&[u8])) -> Outcome<()> {
        BUFFER.with_borrow_mut(|buffer| {
            let size = size.min(TRANSFER_MAX) as usize;
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let read = self.files().read(&self.as_opener(), inode, offset, &mut buffer[..size])?;
            self.counting.read_bytes.fetch_add(read.length as u64, Ordering::Relaxed);
            answer(&buffer[..read.length]);
            Ok(())
        })
    }

    /// Writes all of `data`; `takes_setid` says that the writer must not leave bits that set user or group, `is_direct` that
    /// it passed the kernel's pages by.
    pub fn write(
        &self,
        inode: InodeNumber,
        offset: u64,
        data: &[u8],
        takes_setid: bool,
        is_direct: bool,
    ) -> Outcome<u32> {
        self.check_writable()?;
        let context = if takes_setid { self.as_owner(inode)? } else { self.as_opener() };
        let changed = patiently(|| self.files().write(&context, inode, offset, data, Stability::Unstable))?;
        // Older kernels may have read a page again while it was written: so those that they have are not taken for good.
        if !is_direct {
            self.nodes.note_own(&changed);
        }
        self.counting.written_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(data.len() as u32)
    }

    /// Makes a file or directory durable.
    pub fn sync(&self, inode: InodeNumber) -> Outcome<()> {
        Ok(patiently(|| self.files().sync(inode))?)
    }

    /// Reserves, punches or zeroes a range. Nothing is reserved where every write takes new room: as on ZFS, that
    /// there is room now is all that can be said.
    pub fn allocate(&self, asker: Asker, inode: InodeNumber, (offset, length): (u64, u64), mode: i32) -> Outcome<()> {
        self.check_writable()?;
        let end = offset.checked_add(length).filter(|&end| end <= FILE_SIZE_MAX).ok_or(Errno::EFBIG)?;
        let punches = match mode & !KEEP_SIZE {
            0 => false,
            PUNCH_HOLE if mode & KEEP_SIZE != 0 => true,
            ZERO_RANGE => true,
            _ => return Err(Errno::EOPNOTSUPP.into()),
        };
        if punches {
            let context = if asker.uid == 0 { self.as_opener() } else { self.as_owner(inode)? };
            let changed = patiently(|| self.files().punch(&context, inode, offset, length))?;
            self.nodes.note_own(&changed);
        } else if length > self.usage()?.free {
            return Err(Errno::ENOSPC.into());
        }
        if mode & KEEP_SIZE == 0 && self.attributes(inode)?.size < end {
            let change = AttributeChange { size: Some(end), ..AttributeChange::default() };
            self.set(asker, inode, &change, true)?;
        }
        Ok(())
    }

    /// Finds data or a hole.
    pub fn seek(&self, inode: InodeNumber, offset: i64, whence: i32) -> Outcome<i64> {
        let target = match whence {
            SEEK_DATA => SeekTarget::Data,
            SEEK_HOLE => SeekTarget::Hole,
            _ => return Err(Errno::EINVAL.into()),
        };
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        let found = self.files().seek(inode, offset, target)?.ok_or(Errno::ENXIO)?;
        Ok(i64::try_from(found).map_err(|_| Errno::EOVERFLOW)?)
    }
}
