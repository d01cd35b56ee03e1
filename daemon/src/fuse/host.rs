//! The host's side of a mount: the system calls, and what the host says of what is mounted where.
//!
//! Invariant: nothing here looks into a mount of ours, where a request would have to be answered by this
//! very process. What can be known is read of `/proc/self/mountinfo`.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cow_api::v1::{Code, MountOptions, Problem};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

use crate::fuse::content::TRANSFER_MAX;

/// What mounts of ours say that they are: the kernel's name, and ours.
const KIND: &str = "fuse.cow";
const KIND_NAMES: (&str, &str) = ("fuse", "cow");
const DEVICE: &str = "/dev/fuse";

/// Something mounted on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// Whether it says that it is one of ours.
    pub is_ours: bool,
    /// The device's numbers, `0:57`.
    pub device: String,
}

/// What is mounted at `path`, the topmost if there is more than one.
pub fn mounted_at(path: &Path) -> Option<Found> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    text.rsplit(|&byte| byte == b'\n').filter_map(line).find(|found| found.path == path)
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`
fn line(line: &[u8]) -> Option<Found> {
    let mut words = line.split(|&byte| byte == b' ');
    let device = String::from_utf8(words.nth(2)?.to_vec()).ok()?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(unescaped(words.nth(1)?)));
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    Some(Found { path, is_ours: kind == KIND.as_bytes(), device })
}

/// Blanks and backslashes stand as `\040`.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let (mut plain, mut at) = (Vec::with_capacity(word.len()), 0);
    while at < word.len() {
        let octal = word.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if word[at] == b'\\' => {
                plain.push(byte);
                at += 4;
            }
            _ => {
                plain.push(word[at]);
                at += 1;
            }
        }
    }
    plain
}

/// The directory that is to be mounted on, by its own path: an empty one on which nothing is mounted, or a mount of
/// ours that nobody serves any more, which is cleared away.
pub fn mount_point(path: &Path, pool: &Path) -> Result<PathBuf, Problem> {
    let shown = path.display();
    if !path.is_absolute() {
        let problem = Problem::new(Code::InvalidRequest, format!("'{shown}' is no absolute path"));
        return Err(problem.with_hint("the daemon works in another directory: begin with /"));
    }
    clear_if_dead(path)?;
    let real = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Problem::new(Code::NotFound, format!("there is no directory {shown}")).with_hint("make it first")
        }
        _ => Problem::new(Code::Io, format!("cannot look at {shown}: {error}")),
    })?;
    if mounted_at(&real).is_some() {
        let problem = Problem::new(Code::Exists, format!("something is mounted at {shown} already"));
        return Err(problem.with_hint("'cowctl mount' lists what cow has mounted, and mount(8) everything"));
    }
    if fs::canonicalize(pool).is_ok_and(|pool| real.starts_with(pool)) {
        return Err(Problem::new(Code::InvalidRequest, format!("{shown} is inside the pool")));
    }
    let mut entries = fs::read_dir(&real).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Problem::new(Code::InvalidRequest, format!("{shown} is no directory")),
        _ => Problem::new(Code::Io, format!("cannot list {shown}: {error}")),
    })?;
    if entries.next().is_some() {
        let problem = Problem::new(Code::Conflict, format!("the directory {shown} is not empty"));
        return Err(problem.with_hint("what is in it could not be seen while something is mounted there"));
    }
    Ok(real)
}

/// Takes away a mount of ours whose daemon has died.
fn clear_if_dead(path: &Path) -> Result<(), Problem> {
    while mounted_at(path).is_some_and(|found| found.is_ours) && is_dead(path) {
        detach(path).map_err(|error| {
            let shown = path.display();
            Problem::new(Code::Io, format!("cannot unmount {shown}, whose daemon has died: {error}"))
        })?;
        tracing::warn!(path = %path.display(), "unmounted what a daemon that died has left");
    }
    Ok(())
}

/// Whether nobody answers for it. Asked for its room, which the kernel does not tell by itself, as it may attributes.
fn is_dead(path: &Path) -> bool {
    matches!(rustix::fs::statfs(path), Err(Errno::NOTCONN | Errno::CONNABORTED))
}

/// A mount that is nowhere yet, and the device through which the kernel asks. Dropped, it is no more.
pub struct Hidden {
    /// Through which the kernel asks.
    pub device: OwnedFd,
    /// The root of the mount. While this is open, the mount cannot end.
    pub root: OwnedFd,
}

/// Opens the device and makes a mount of it.
pub fn create(name: &str, options: MountOptions, read_only: bool) -> Result<Hidden, Problem> {
    let device = File::options().read(true).write(true).open(DEVICE).map_err(|error| {
        let problem = Problem::new(Code::Unsupported, format!("cannot open {DEVICE}: {error}"));
        problem.with_hint("the kernel needs FUSE ('modprobe fuse'), and cowd the device: see docs/mount.md")
    })?;
    let root = mount_of(&device, name, options, read_only).map_err(|errno| not_mounted(name, errno))?;
    Ok(Hidden { device: device.into(), root })
}

fn mount_of(device: &File, name: &str, options: MountOptions, read_only: bool) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(KIND_NAMES.0, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let (owner, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for (key, value) in [
        ("subtype", KIND_NAMES.1.to_owned()),
        ("source", name.to_owned()),
        ("fd", device.as_raw_fd().to_string()),
        ("rootmode", "40000".to_owned()),
        ("user_id", owner.to_string()),
        ("group_id", group.to_string()),
        ("max_read", TRANSFER_MAX.to_string()),
    ] {
        fsconfig_set_string(&context, key, value)?;
    }
    for (key, is_on) in [("default_permissions", true), ("allow_other", options.allow_other), ("ro", read_only)] {
        if is_on {
            fsconfig_set_flag(&context, key)?;
        }
    }
    fsconfig_create(&context)?;
    // Programs that set user or group, and device nodes, are for who may mount what they like.
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, read_only);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Puts a mount at `path`, for everybody.
pub fn show(root: &OwnedFd, path: &Path) -> Result<(), Problem> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(root, "", CWD, path, flags).map_err(|errno| not_mounted(&path.display().to_string(), errno))
}

fn not_mounted(what: &str, errno: Errno) -> Problem {
    let detail = format!("cannot mount {what}: {}", io::Error::from(errno));
    match errno {
        Errno::PERM | Errno::ACCESS => Problem::new(Code::PermissionDenied, detail)
            .with_hint("cowd needs to be root, or to have CAP_SYS_ADMIN: see docs/mount.md"),
        Errno::NOSYS => Problem::new(Code::Unsupported, detail).with_hint("this takes Linux 5.2 or later"),
        _ => Problem::new(Code::Io, detail),
    }
}

/// Has the kernel read further ahead than FUSE does by itself.
pub fn read_far_ahead(path: &Path) {
    if let Some(found) = mounted_at(path) {
        let setting = format!("/sys/class/bdi/{}/read_ahead_kb", found.device);
        // Only a matter of speed.
        let _ = fs::write(setting, format!("{}", TRANSFER_MAX / 1024));
    }
}

/// Unmounts what nobody uses; `BUSY` if somebody does.
pub fn unmount_idle(path: &Path) -> rustix::io::Result<()> {
    unmount(path, UnmountFlags::NOFOLLOW)
}

/// Unmounts whatever is under way: what waits for an answer gets an error, and so does who still has files open.
pub fn detach(path: &Path) -> rustix::io::Result<()> {
    unmount(path, UnmountFlags::FORCE | UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Whether a path can be written down as text.
pub fn text(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_mounts_are_read() {
        let found = line(br"36 35 98:0 /mnt1 /mnt\0402\134 rw,noatime master:1 - fuse.cow prod rw").unwrap();
        assert_eq!(found, Found { path: "/mnt 2\\".into(), is_ours: true, device: "98:0".to_owned() });
        assert!(!line(b"36 35 98:0 / /x rw - ext4 /dev/sda rw").unwrap().is_ours);
        assert_eq!(line(b"36 35 98:0 / /x rw"), None);
        assert!(mounted_at(Path::new("/proc")).is_some_and(|found| !found.is_ours));
    }
}
