//! The engine's attributes and times, as the kernel has them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cow_storage::format::Timestamp;
use cow_storage::fs::{Attributes, FileKind, NewObject, SetTime};
use fuser::{Errno, FileAttr, FileType, INodeNo, TimeOrNow};

use crate::fuse::failure::Outcome;

/// What `st_blocks` counts in.
const SECTOR_LEN: u64 = 512;
/// The bits of `st_mode` that tell a kind.
const KIND_BITS: u32 = 0o170_000;

/// Attributes as the kernel keeps them.
pub fn shown(attributes: &Attributes, block_size: u32) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.inode.0),
        size: attributes.size,
        blocks: attributes.allocated.div_ceil(SECTOR_LEN),
        atime: system_time(attributes.accessed),
        mtime: system_time(attributes.modified),
        ctime: system_time(attributes.changed),
        crtime: system_time(attributes.created),
        kind: kind(attributes.kind),
        perm: (attributes.mode & 0o7777) as u16,
        nlink: attributes.links,
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: encode_device(attributes.device),
        blksize: block_size,
        flags: 0,
    }
}

/// A kind as listings tell it.
pub fn kind(kind: FileKind) -> FileType {
    match kind {
        FileKind::Regular => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::BlockDevice => FileType::BlockDevice,
        FileKind::CharacterDevice => FileType::CharDevice,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
    }
}

/// What mknod(2) asks for.
pub fn node(mode: u32, device: u32) -> Outcome<NewObject> {
    let (major, minor) = decode_device(device);
    Ok(match mode & KIND_BITS {
        0 | 0o100_000 => NewObject::Regular { exclusive: None },
        0o060_000 => NewObject::BlockDevice(major, minor),
        0o020_000 => NewObject::CharacterDevice(major, minor),
        0o010_000 => NewObject::Fifo,
        0o140_000 => NewObject::Socket,
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// Linux's 32 bits for a device's numbers.
fn encode_device((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

fn decode_device(device: u32) -> (u32, u32) {
    ((device & 0xf_ff00) >> 8, (device & 0xff) | ((device >> 12) & 0xf_ff00))
}

/// A time to set.
pub fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::To(given_time(time)),
    }
}

/// A time that a program gave. Before 1970, fuser takes the nanoseconds off where they are to be added.
fn given_time(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() },
        Err(error) => {
            let before = error.duration();
            Timestamp { seconds: (before.as_secs() as i64).wrapping_neg(), nanoseconds: before.subsec_nanos() }
        }
    }
}

/// A time of the engine's. What the system's clock cannot tell, it has as 1970.
fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    let nanos = Duration::from_nanos(time.nanoseconds.into());
    whole.and_then(|whole| whole.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_they_are_kept() {
        for (seconds, nanoseconds) in [(0, 0), (1, 5), (-1, 0), (-1, 999_999_999), (-2, 1), (1 << 40, 7), (i64::MAX, 0)]
        {
            let told = system_time(Timestamp { seconds, nanoseconds });
            let since = match told.duration_since(UNIX_EPOCH) {
                Ok(since) => i128::from(since.as_secs()) * 1_000_000_000 + i128::from(since.subsec_nanos()),
                Err(error) => -(error.duration().as_nanos() as i128),
            };
            assert_eq!(since, i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds), "{seconds} {nanoseconds}");
        }
    }

    #[test]
    fn times_are_kept_as_they_were_given() {
        // As fuser makes them of what the kernel sends.
        let given = |seconds: i64, nanoseconds| match seconds {
            0.. => UNIX_EPOCH + Duration::new(seconds as u64, nanoseconds),
            _ => UNIX_EPOCH - Duration::new(seconds.unsigned_abs(), nanoseconds),
        };
        for (seconds, nanoseconds) in [(0, 0), (3, 4), (-1, 0), (-1, 500_000_000), (-77, 1)] {
            assert_eq!(given_time(given(seconds, nanoseconds)), Timestamp { seconds, nanoseconds });
        }
    }

    #[test]
    fn device_numbers_survive() {
        for device in [(0, 0), (1, 3), (8, 255), (259, 256), (0xfff, 0xf_ffff)] {
            assert_eq!(decode_device(encode_device(device)), device);
        }
    }
}
