//! The same random calls on a mount and on a tmpfs come to the same: results, errors, what stat tells, and in the end
//! the trees. And once more after the daemon has been restarted.
//!
//! What differs with good reason is left out: numbers of inodes and devices, sizes of directories, blocks, times that
//! nobody set, and where holes lie (that they have nothing in them is checked).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use cow_tests::random::Random;
use rustix::fs::{
    Access, AtFlags, CWD, FallocateFlags, Mode, RenameFlags, Timespec, Timestamps, XattrFlags, accessat, chmodat,
    chownat, fallocate, lgetxattr, linkat, llistxattr, lremovexattr, lsetxattr, mkdirat, mknodat, renameat_with,
    symlinkat, unlinkat, utimensat,
};
use rustix::process::{Gid, Uid};
use serde_json::json;

use crate::{Host, in_namespace};

/// Calls of one history.
const CALLS: usize = 4000;
/// Descriptors that a history keeps.
const SLOTS: usize = 6;
/// `O_NONBLOCK`: nobody waits for the other end of a pipe.
const NO_WAIT: i32 = 0o4000;
/// Files stay below this size.
const SIZE_MAX: u64 = 300_000;

/// One of the two places, and what is open there.
struct Side {
    root: PathBuf,
    open: Vec<Option<File>>,
}

/// A call, with all that is drawn for it.
#[derive(Clone, Debug)]
enum Call {
    Open { slot: usize, path: String, create: bool, exclusive: bool, truncate: bool, append: bool, mode: u32 },
    Close(usize),
    Read { slot: usize, offset: u64, length: usize },
    Write { slot: usize, offset: u64, bytes: Vec<u8> },
    Append { slot: usize, bytes: Vec<u8> },
    SetLength { slot: usize, length: u64 },
    Truncate { path: String, length: u64 },
    Allocate { slot: usize, mode: u32, offset: u64, length: u64 },
    Sync(usize),
    StatOpen(usize),
    Stat(String),
    Access(String, u8),
    MakeDirectory(String, u32),
    RemoveDirectory(String),
    Remove(String),
    Rename { from: String, to: String, no_replace: bool, exchange: bool },
    Link { from: String, to: String },
    Symlink { target: String, at: String },
    ReadLink(String),
    Node { at: String, kind: u32 },
    SetMode(String, u32),
    SetOwner(String, Option<u32>, Option<u32>),
    SetTimes(String, i64, u32),
    List(String),
    SetXattr(String, String, Vec<u8>, u8),
    Xattr(String, String, usize),
    ListXattrs(String),
    RemoveXattr(String, String),
}

fn draw_path(random: &mut Random) -> String {
    let names = ["a", "b", "c", "d", "e"];
    let depth = 1 + random.below(3);
    let parts: Vec<&str> = (0..depth).map(|_| *random.pick(&names)).collect();
    let long = "n".repeat(200 + random.below(70) as usize);
    match random.below(60) {
        0 => long,
        1 => format!("{}/..", parts.join("/")),
        2 => format!("{}/", parts.join("/")),
        3 => String::from("."),
        _ => parts.join("/"),
    }
}

fn draw(random: &mut Random) -> Call {
    let slot = random.below(SLOTS as u64) as usize;
    let (path, other) = (draw_path(random), draw_path(random));
    let offset = random.below(SIZE_MAX / 2);
    let length = random.below(SIZE_MAX / 3);
    let some_bytes = |random: &mut Random| {
        let length = *random.pick(&[0, 1, 100, 4096, 5000, 16_384, 70_000]);
        random.bytes(length)
    };
    let mode = *random.pick(&[0o600, 0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o0, 0o2644]);
    let name = (*random.pick(&["user.a", "user.b", "user.long-name", "trusted.t", "nonsense.x"])).to_owned();
    match random.below(100) {
        0..14 => Call::Open {
            slot,
            path,
            create: random.below(3) > 0,
            exclusive: random.below(6) == 0,
            truncate: random.below(6) == 0,
            append: random.below(8) == 0,
            mode: mode & 0o777,
        },
        14..17 => Call::Close(slot),
        17..25 => Call::Read { slot, offset, length: length as usize },
        25..36 => Call::Write { slot, offset, bytes: some_bytes(random) },
        36..38 => Call::Append { slot, bytes: some_bytes(random) },
        38..41 => Call::SetLength { slot, length },
        41..43 => Call::Truncate { path, length },
        43..46 => Call::Allocate { slot, mode: random.below(3) as u32, offset, length },
        46 => Call::Sync(slot),
        47..50 => Call::StatOpen(slot),
        50..55 => Call::Stat(path),
        55 => Call::Access(path, random.below(8) as u8),
        56..62 => Call::MakeDirectory(path, mode),
        62..64 => Call::RemoveDirectory(path),
        64..69 => Call::Remove(path),
        69..77 => Call::Rename { from: path, to: other, no_replace: random.below(4) == 0, exchange: false },
        77..80 => Call::Link { from: path, to: other },
        80..82 => Call::Symlink { target: other, at: path },
        82 => Call::ReadLink(path),
        83 => Call::Node { at: path, kind: random.below(3) as u32 },
        84..87 => Call::SetMode(path, mode),
        87..89 => Call::SetOwner(path, draw_id(random), draw_id(random)),
        89 => Call::SetTimes(path, random.below(1 << 32) as i64 - (1 << 20), random.below(1_000_000_000) as u32),
        90..93 => Call::List(path),
        93..95 => Call::SetXattr(path, name, some_bytes(random), random.below(3) as u8),
        95 => Call::Xattr(path, name, random.below(200) as usize),
        96 => Call::ListXattrs(path),
        97 => Call::RemoveXattr(path, name),
        _ => Call::Stat(path),
    }
}

fn draw_id(random: &mut Random) -> Option<u32> {
    (random.below(2) == 0).then(|| *random.pick(&[0, 1, 1000]))
}

impl Side {
    fn new(root: PathBuf) -> Self {
        Self { root, open: (0..SLOTS).map(|_| None).collect() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn file(&self, slot: usize) -> std::io::Result<&File> {
        self.open[slot].as_ref().ok_or_else(|| std::io::Error::from_raw_os_error(9))
    }

    /// Does it, and says what came of it.
    fn play(&mut self, call: &Call) -> String {
        match self.try_play(call) {
            Ok(told) => told,
            Err(error) => format!("error {:?}", error.raw_os_error()),
        }
    }

    fn try_play(&mut self, call: &Call) -> std::io::Result<String> {
        let done = || Ok(String::from("done"));
        match call {
            Call::Open { slot, path, create, exclusive, truncate, append, mode } => {
                let mut options = OpenOptions::new();
                options.read(true).write(!append).append(*append).create(*create).mode(*mode);
                options.truncate(*truncate && !append).create_new(*create && *exclusive).custom_flags(NO_WAIT);
                self.open[*slot] = None;
                self.open[*slot] = Some(options.open(self.at(path))?);
            }
            Call::Close(slot) => self.open[*slot] = None,
            Call::Read { slot, offset, length } => {
                let mut buffer = vec![0; *length];
                let length = self.file(*slot)?.read_at(&mut buffer, *offset)?;
                return Ok(format!("{length} {}", blake3::hash(&buffer[..length])));
            }
            Call::Write { slot, offset, bytes } => {
                return Ok(self.file(*slot)?.write_at(bytes, *offset)?.to_string());
            }
            Call::Append { slot, bytes } => {
                let file = self.file(*slot)?;
                return Ok(file.write_at(bytes, file.metadata()?.len().min(SIZE_MAX))?.to_string());
            }
            Call::SetLength { slot, length } => self.file(*slot)?.set_len(*length)?,
            Call::Truncate { path, length } => {
                OpenOptions::new().write(true).custom_flags(NO_WAIT).open(self.at(path))?.set_len(*length)?;
            }
            Call::Allocate { slot, mode, offset, length } => self.allocate(*slot, *mode, *offset, *length)?,
            Call::Sync(slot) => self.file(*slot)?.sync_all()?,
            Call::StatOpen(slot) => return Ok(told(&self.file(*slot)?.metadata()?)),
            Call::Stat(path) => return Ok(told(&fs::symlink_metadata(self.at(path))?)),
            Call::Access(path, bits) => {
                accessat(CWD, self.at(path), Access::from_bits_truncate((*bits).into()), AtFlags::empty())?;
            }
            Call::MakeDirectory(path, mode) => mkdirat(CWD, self.at(path), Mode::from_raw_mode(*mode))?,
            Call::RemoveDirectory(path) => unlinkat(CWD, self.at(path), AtFlags::REMOVEDIR)?,
            Call::Remove(path) => unlinkat(CWD, self.at(path), AtFlags::empty())?,
            Call::Rename { from, to, no_replace, exchange } => {
                let mut flags = RenameFlags::empty();
                flags.set(RenameFlags::NOREPLACE, *no_replace);
                flags.set(RenameFlags::EXCHANGE, *exchange);
                renameat_with(CWD, self.at(from), CWD, self.at(to), flags)?;
            }
            Call::Link { from, to } => linkat(CWD, self.at(from), CWD, self.at(to), AtFlags::empty())?,
            Call::Symlink { target, at } => symlinkat(target.as_str(), CWD, self.at(at))?,
            Call::ReadLink(path) => return Ok(format!("{:?}", fs::read_link(self.at(path))?)),
            Call::Node { at, kind } => {
                let kinds =
                    [rustix::fs::FileType::Fifo, rustix::fs::FileType::Socket, rustix::fs::FileType::CharacterDevice];
                mknodat(CWD, self.at(at), kinds[*kind as usize], Mode::from_raw_mode(0o640), 0x0105)?;
            }
            Call::SetMode(path, mode) => chmodat(CWD, self.at(path), Mode::from_raw_mode(*mode), AtFlags::empty())?,
            Call::SetOwner(path, uid, gid) => {
                let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
                chownat(CWD, self.at(path), uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Call::SetTimes(path, tv_sec, nanos) => {
                let time = Timespec { tv_sec: *tv_sec, tv_nsec: (*nanos).into() };
                let later = Timespec { tv_sec: tv_sec + 5, tv_nsec: 1 };
                let times = Timestamps { last_access: later, last_modification: time };
                utimensat(CWD, self.at(path), &times, AtFlags::SYMLINK_NOFOLLOW)?;
                let found = fs::symlink_metadata(self.at(path))?;
                let parts = [found.mtime(), found.mtime_nsec(), found.atime(), found.atime_nsec()];
                return Ok(format!("{parts:?}"));
            }
            Call::List(path) => return Ok(format!("{:?}", names(&self.at(path))?)),
            Call::SetXattr(path, name, value, how) => {
                let flags = [XattrFlags::empty(), XattrFlags::CREATE, XattrFlags::REPLACE][usize::from(*how)];
                lsetxattr(self.at(path), name.as_str(), &value[..value.len().min(1000)], flags)?;
            }
            Call::Xattr(path, name, size) => {
                let mut buffer = vec![0; *size];
                let length = lgetxattr(self.at(path), name.as_str(), buffer.as_mut_slice())?;
                buffer.truncate(length);
                return Ok(format!("{length} {}", blake3::hash(&buffer)));
            }
            Call::ListXattrs(path) => return Ok(format!("{:?}", xattr_names(&self.at(path))?)),
            Call::RemoveXattr(path, name) => lremovexattr(self.at(path), name.as_str())?,
        }
        done()
    }

    /// A tmpfs cannot zero a range: there, zeros are written.
    fn allocate(&self, slot: usize, mode: u32, offset: u64, length: u64) -> std::io::Result<()> {
        let file = self.file(slot)?;
        let flags = match mode {
            0 => FallocateFlags::empty(),
            1 => FallocateFlags::KEEP_SIZE,
            _ => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        };
        Ok(fallocate(file, flags, offset, length)?)
    }
}

fn names(path: &Path) -> std::io::Result<Vec<String>> {
    let entries = fs::read_dir(path)?;
    let told =
        entries.map(|entry| entry.map(|entry| format!("{:?} {:?}", entry.file_name(), entry.file_type().unwrap())));
    let mut told: Vec<String> = told.collect::<Result<_, _>>()?;
    told.sort();
    Ok(told)
}

fn xattr_names(path: &Path) -> std::io::Result<Vec<String>> {
    let mut buffer = vec![0; 64 << 10];
    let length = llistxattr(path, buffer.as_mut_slice())?;
    let names = buffer[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    // Labels of a security module are none of ours.
    names.retain(|name| name.starts_with("user.") || name.starts_with("trusted."));
    names.sort();
    Ok(names)
}

/// What stat tells that both must tell alike.
fn told(found: &fs::Metadata) -> String {
    let size = if found.is_dir() { 0 } else { found.len() };
    format!("{:o} {} {}:{} {size} {}", found.mode(), found.nlink(), found.uid(), found.gid(), found.rdev())
}

/// All that both trees must have alike, by path. Sees to it that holes have nothing in them.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let (mut all, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let content = match found.file_type() {
                kind if kind.is_file() => hash(&path),
                kind if kind.is_symlink() => format!("{:?}", fs::read_link(&path).unwrap()),
                _ => String::new(),
            };
            let inner = path.strip_prefix(root).unwrap().to_owned();
            all.insert(inner, format!("{} {content} {:?}", told(&found), xattr_names(&path).unwrap()));
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    all
}

fn hash(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let file = File::open(path).unwrap();
    let (mut at, end) = (0, bytes.len() as u64);
    while at < end {
        let data = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)).unwrap_or(end);
        assert!(
            bytes[at as usize..data as usize].iter().all(|&byte| byte == 0),
            "a hole of {} has data",
            path.display()
        );
        at = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(data)).unwrap_or(end);
        assert!(at > data || data == end, "no end of data in {}", path.display());
    }
    blake3::hash(&bytes).to_string()
}

#[test]
fn random_calls_come_to_what_they_come_to_on_a_disk() {
    in_namespace("differential::random_calls_come_to_what_they_come_to_on_a_disk", || {
        let mut host = Host::new("prod");
        let place = host.directory("reference");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=755,nodev,nosuid", "tmpfs"])
            .arg(&place)
            .status()
            .unwrap();
        assert!(mounted.success());
        let path = host.mount("prod", json!({}));
        for seed in 0..3 {
            let mut random = Random::new(seed);
            let folder = format!("seed-{seed}");
            let mut sides = [path.join(&folder), place.join(&folder)].map(Side::new);
            sides.iter().for_each(|side| fs::create_dir(&side.root).unwrap());
            for number in 0..CALLS {
                let call = draw(&mut random);
                let [ours, theirs] = sides.each_mut().map(|side| side.play(&call));
                assert_eq!(ours, theirs, "seed {seed}, call {number}: {call:?}");
                if number % 500 == 499 {
                    assert_eq!(tree(&sides[0].root), tree(&sides[1].root), "seed {seed}, after call {number}");
                }
            }
        }
        File::open(&path).unwrap().sync_all().unwrap();
        assert_eq!(host.unmount("prod", false).status, 200);
        host.mount("prod", json!({}));
        assert_eq!(tree(&path), tree(&place));
        let folders = fs::read_dir(&path).unwrap().count();
        assert_eq!(folders, 3);
        // An orderly end keeps all of it.
        assert!(host.daemon.take().unwrap().stop().0.success());
        host.daemon = Some(host.setup.start());
        assert_eq!(tree(&path), tree(&place));
    });
}

#[test]
fn what_only_some_can_do_is_done_or_refused() {
    in_namespace("differential::what_only_some_can_do_is_done_or_refused", || {
        let host = Host::new("prod");
        let path = host.mount("prod", json!({}));
        let file = path.join("f");
        fs::write(&file, vec![7; 100_000]).unwrap();
        let open = OpenOptions::new().read(true).write(true).open(&file).unwrap();
        fallocate(&open, FallocateFlags::ZERO_RANGE, 90_000, 50_000).unwrap();
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.len() == 140_000 && bytes[..90_000].iter().all(|&byte| byte == 7));
        assert!(bytes[90_000..].iter().all(|&byte| byte == 0));
        let error = |result: rustix::io::Result<()>| result.unwrap_err();
        let collapse = fallocate(&open, FallocateFlags::COLLAPSE_RANGE, 0, 4096);
        assert_eq!(error(collapse), rustix::io::Errno::OPNOTSUPP);
        assert_eq!(error(fallocate(&open, FallocateFlags::empty(), 0, 1 << 60)), rustix::io::Errno::NOSPC);
        fs::write(path.join("g"), "").unwrap();
        let exchange = renameat_with(CWD, &file, CWD, path.join("g"), RenameFlags::EXCHANGE);
        assert_eq!(error(exchange), rustix::io::Errno::INVAL);
        // The snapshots' name is theirs.
        assert_eq!(error(mkdirat(CWD, path.join(".snapshot"), Mode::RWXU)), rustix::io::Errno::ACCESS);
        // Nothing is promised that is not kept.
        let list = lsetxattr(&file, "system.posix_acl_access", b"\x02\0\0\0", XattrFlags::empty());
        assert_eq!(error(list), rustix::io::Errno::OPNOTSUPP);
        let room = rustix::fs::statvfs(&path).unwrap();
        assert!(room.f_bavail > 1000 && room.f_blocks >= room.f_bavail && room.f_namemax == 255 && room.f_ffree > 1000);
        // Names that are no text.
        let odd = path.join(std::ffi::OsStr::from_bytes(b"\xff\xfe \n"));
        fs::write(&odd, "odd").unwrap();
        assert_eq!(fs::read_to_string(&odd).unwrap(), "odd");
        // A file and a directory without a name go on until they are closed.
        fs::remove_file(&file).unwrap();
        assert_eq!((open.metadata().unwrap().nlink(), open.metadata().unwrap().len()), (0, 140_000));
        open.write_all_at(b"still", 0).unwrap();
        open.sync_all().unwrap();
        let mut front = [0; 5];
        open.read_exact_at(&mut front, 0).unwrap();
        assert_eq!(&front, b"still");
        fs::create_dir(path.join("d")).unwrap();
        let folder = File::open(path.join("d")).unwrap();
        fs::remove_dir(path.join("d")).unwrap();
        assert_eq!(folder.metadata().unwrap().nlink(), 0);
        folder.sync_all().unwrap();
    });
}
