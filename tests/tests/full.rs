//! A full pool refuses writes and keeps everything else: reads, destroys, restarts, and then writes again.
//!
//! It lies on a small file system of its own, on a loop device, so only root can run this.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use cow_storage::catalog::Properties;
use cow_storage::error::ErrorKind;
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use cow_tests::pooled::{Pooled, now};
use cow_tests::random::Random;
use cow_tests::scratch::{Scratch, is_root};

const HOST_LEN: u64 = 500 << 20;
const PIECE_LEN: usize = 1 << 20;

#[test]
fn a_full_pool_refuses_writes_and_recovers() {
    let scratch = Scratch::new("full");
    let Some(host) = Mounted::new(scratch.path()) else {
        eprintln!("skipped: a small file system can only be mounted by root, where loop devices are");
        return;
    };
    let pooled = Pooled::open(&host.0).unwrap();
    for name in ["kept", "filler"] {
        pooled.create(name, &Properties::default()).unwrap();
    }
    let kept = pooled.pool.file_system("kept").unwrap();
    let first = fill(&*kept, 1, 4);
    assert_eq!(first, Ok(()));
    let filler = pooled.pool.file_system("filler").unwrap();
    assert_eq!(fill(&*filler, 2, 1000), Err(ErrorKind::NoSpace));
    // Once more, now that it is known to be full.
    assert_eq!(fill(&*filler, 3, 1000), Err(ErrorKind::NoSpace));
    assert_kept(&*kept);
    pooled.pool.commit(now()).unwrap();
    pooled.assert_sound();
    drop((kept, filler, pooled));

    let pooled = Pooled::open(&host.0).unwrap();
    assert_kept(&*pooled.pool.file_system("kept").unwrap());
    pooled.pool.destroy("filler", false, now()).unwrap();
    pooled.purge().unwrap();
    assert_eq!(fill(&*pooled.pool.file_system("kept").unwrap(), 4, 16), Ok(()));
    pooled.pool.commit(now()).unwrap();
    assert_kept(&*pooled.pool.file_system("kept").unwrap());
    pooled.assert_sound();
}

/// Writes pieces that nothing compresses into a new file, and makes them durable.
fn fill(files: &dyn FileSystem, seed: u64, pieces: u64) -> Result<(), ErrorKind> {
    let mut random = Random::new(seed);
    let object = NewObject::Regular { exclusive: None };
    let name = format!("file{seed}");
    let created =
        files.create(&context(), InodeNumber::ROOT, name.as_bytes(), &object, 0o644, &AttributeChange::default());
    let inode = created.map_err(|error| error.kind())?.object.inode;
    for piece in 0..pieces {
        let bytes = random.bytes(PIECE_LEN);
        let written = files.write(&context(), inode, piece * PIECE_LEN as u64, &bytes, Stability::Unstable);
        written.map_err(|error| error.kind())?;
    }
    files.sync(inode).map_err(|error| error.kind())
}

fn assert_kept(files: &dyn FileSystem) {
    let inode = files.lookup(&context(), InodeNumber::ROOT, b"file1").unwrap().inode;
    let mut random = Random::new(1);
    for piece in 0..4 {
        let mut bytes = vec![0; PIECE_LEN];
        let read = files.read(&context(), inode, piece * PIECE_LEN as u64, &mut bytes).unwrap();
        assert!(read.length == PIECE_LEN && bytes == random.bytes(PIECE_LEN), "piece {piece} is not what was written");
    }
}

fn context() -> Context {
    Context { now: now(), caller: Caller::Superuser, durable: false, call: None }
}

/// A file system of its own on a loop device.
struct Mounted(PathBuf);

impl Mounted {
    fn new(scratch: &Path) -> Option<Self> {
        let (image, mount) = (scratch.join("image"), scratch.join("mount"));
        File::create(&image).and_then(|file| file.set_len(HOST_LEN)).ok()?;
        fs::create_dir(&mount).ok()?;
        let made = is_root()
            && run("mkfs.ext4", &["-q", "-F", image.to_str()?])
            && run("mount", &["-o", "loop,noatime", image.to_str()?, mount.to_str()?]);
        made.then_some(Self(mount))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap_or("")]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
