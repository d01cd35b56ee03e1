//! Makes the pool, and stops in the middle of things: with a log to replay, a reclaim under way, and what waits in the bin.

use std::sync::Arc;

use cow_storage::catalog::{Compression, Properties, PropertyChange};
use cow_storage::error::Error;
use cow_storage::executor::Inline;
use cow_storage::format::{InodeNumber, PoolId, Timestamp};
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, SetTime, Stability, XattrMode};
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::{Budgets, NewPool, Pool};

use crate::random::Random;

type Result<T> = std::result::Result<T, Error>;

/// A moment of the pool's history.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds: 1_767_225_600 + seconds, nanoseconds: 5 }
}

/// Opens the pool on a disk.
pub fn open(media: Arc<dyn Media>) -> Result<Pool> {
    let budgets = Budgets { dirty: 8 << 20, nodes: 1 << 20, blocks: 1 << 20, slots: 1 << 20, dedup: 1 << 20 };
    Pool::open(media, Arc::new(Inline), budgets, 7, at(1000))
}

/// Makes the pool on a simulated disk, as a killed process leaves it.
pub fn build() -> Result<Simulator> {
    let disk = Arc::new(Simulator::new());
    let media: Arc<dyn Media> = Arc::clone(&disk) as _;
    let new = NewPool {
        id: PoolId(*b"a sample of pool"),
        secret: *b"everybody may know this secret. ",
        segment_size: 1 << 20,
        intent_size: 256 << 10,
    };
    Pool::create(&media, &new)?;
    let pool = open(Arc::clone(&media))?;
    make_datasets(&pool)?;
    make_history(&pool)?;
    // Closed once, so that the index of stored blocks is on the disk, too.
    pool.close(at(60))?;
    let pool = open(Arc::clone(&media))?;
    make_ends(&pool)?;
    promise(&pool)?;
    Ok(disk.duplicate())
}

fn who(seconds: i64) -> Context {
    Context { now: at(seconds), caller: Caller::Superuser, durable: true, call: None }
}

fn make_datasets(pool: &Pool) -> Result<()> {
    let plain = Properties::default();
    let mut first = Properties { block_size: 4 << 10, extent_size: 32 << 10, quota: Some(1 << 30), ..plain.clone() };
    first.user.insert("team:owner".to_owned(), "samples".to_owned());
    first.user.insert("team:note".to_owned(), "a note that goes on. ".repeat(60));
    let raw = Properties { compression: Compression::Off, dedup: false, ..plain.clone() };
    pool.create_dataset("files", &first, at(1))?;
    pool.create_dataset("files/raw", &raw, at(2))?;
    pool.create_dataset("doomed", &plain, at(3))?;
    pool.create_dataset("gone", &plain, at(4))?;
    fill_files(&*pool.file_system("files")?)?;
    for name in ["files/raw", "doomed", "gone"] {
        let files = pool.file_system(name)?;
        make_file(&*files, InodeNumber::ROOT, b"data", 5, &uneven(9, 10_000))?;
    }
    pool.commit(at(6))
}

/// Bytes that compress to about a half.
fn uneven(seed: u64, length: usize) -> Vec<u8> {
    Random::new(seed).bytes(length).into_iter().map(|byte| byte & 0x1f).collect()
}

/// Makes a regular file with these bytes.
fn make_file(
    files: &dyn FileSystem,
    directory: InodeNumber,
    name: &[u8],
    now: i64,
    bytes: &[u8],
) -> Result<InodeNumber> {
    let object = NewObject::Regular { exclusive: None };
    let made = files.create(&who(now), directory, name, &object, 0o640, &AttributeChange::default())?;
    files.write(&who(now), made.object.inode, 0, bytes, Stability::Unstable)?;
    Ok(made.object.inode)
}

fn fill_files(files: &dyn FileSystem) -> Result<()> {
    let root = InodeNumber::ROOT;
    let who = who(5);
    let owner = AttributeChange { uid: Some(1000), gid: Some(100), ..AttributeChange::default() };
    let folder = files.create(&who, root, b"folder", &NewObject::Directory, 0o2755, &owner)?.object.inode;
    let text = "All work and no play makes a dull pool. ".repeat(1000);
    let long = make_file(files, folder, b"text", 5, text.as_bytes())?;
    make_file(files, folder, "n\u{e4}me with an umlaut".as_bytes(), 5, b"tiny")?;
    make_file(files, folder, b"empty", 5, b"")?;
    make_file(files, root, b"copy", 5, &[text.as_bytes(), &uneven(3, 140_000)].concat())?;
    make_file(files, folder, b"copy of the copy", 5, &[text.as_bytes(), &uneven(3, 140_000)].concat())?;
    let sparse = make_file(files, root, b"sparse", 5, b"start")?;
    files.write(&who, sparse, 1 << 40, b"end", Stability::Unstable)?;
    files.punch(&who, long, 8192, 8192)?;
    files.link(&who, long, root, b"second name")?;
    for (name, object) in [
        (&b"link"[..], NewObject::Symlink(b"folder/text".to_vec())),
        (b"long link", NewObject::Symlink(vec![b'x'; 3000])),
        (b"block", NewObject::BlockDevice(8, 1)),
        (b"character", NewObject::CharacterDevice(1, 3)),
        (b"pipe", NewObject::Fifo),
        (b"socket", NewObject::Socket),
        (b"exclusive", NewObject::Regular { exclusive: Some(0x1234_5678) }),
    ] {
        files.create(&who, root, name, &object, 0o600, &owner)?;
    }
    let old = AttributeChange { modified: Some(SetTime::To(at(-3_000_000_000))), ..AttributeChange::default() };
    files.set_attributes(&who, long, &old, None)?;
    files.set_xattr(&who, long, b"user.short", b"value", XattrMode::Any)?;
    files.set_xattr(&who, long, b"user.long", &Random::new(4).bytes(3000), XattrMode::Create)?;
    for number in 0..90 {
        make_file(files, folder, format!("file {number}").as_bytes(), 5, format!("content {number}").as_bytes())?;
    }
    Ok(())
}

/// Snapshots, holds, clones, a rewind, and changes between them.
fn make_history(pool: &Pool) -> Result<()> {
    pool.snapshot(&[("files", "monday"), ("files/raw", "monday"), ("doomed", "only")], at(10))?;
    let files = pool.file_system("files")?;
    let folder = files.lookup(&who(11), InodeNumber::ROOT, b"folder")?.inode;
    for number in 0..30 {
        files.remove(&who(11), folder, format!("file {number}").as_bytes())?;
    }
    let text = files.lookup(&who(11), folder, b"text")?.inode;
    files.write(&who(12), text, 4000, &Random::new(5).bytes(9000), Stability::Unstable)?;
    pool.snapshot(&[("files", "tuesday")], at(13))?;
    pool.hold("files@monday", "backup", at(13))?;
    for number in 0..3 {
        let name = format!("clone {number}").replace(' ', "-");
        pool.clone_snapshot("files@tuesday", &name, &PropertyChange::default(), at(14))?;
        let clone = pool.file_system(&name)?;
        clone.write(&who(15), text, 20_000 * number, &Random::new(6).bytes(6000), Stability::Unstable)?;
        clone.remove(&who(15), folder, b"file 80")?;
    }
    pool.commit(at(16))?;
    pool.snapshot(&[("clone-0", "branch")], at(17))?;
    make_file(&*files, folder, b"unwanted", 18, &uneven(7, 30_000))?;
    pool.commit(at(19))?;
    pool.rewind("files", "files@tuesday", at(20))?;
    pool.rename_dataset("clone-2", "renamed", at(21))?;
    let change = PropertyChange { readonly: Some(true), ..PropertyChange::default() };
    pool.set_properties("renamed", &change, at(22)).map(drop)
}

/// What is destroyed: one thing waits in the bin, others are purged, and the work on them has begun.
fn make_ends(pool: &Pool) -> Result<()> {
    pool.destroy("gone", false, at(70))?;
    pool.destroy("files@tuesday", false, at(71))?;
    pool.purge(at(72), at(73))?;
    pool.destroy("doomed", true, at(74))?;
    pool.reclaim_step(1, at(75))?;
    pool.commit(at(76))
}

/// Changes that only the intent log has; and a file that has no name any more, because somebody has it open.
fn promise(pool: &Pool) -> Result<()> {
    let files = pool.file_system("files")?;
    let root = InodeNumber::ROOT;
    let open = make_file(&*files, root, b"open", 80, &Random::new(8).bytes(5000))?;
    files.sync(open)?;
    files.retain(open)?;
    files.remove(&who(81), root, b"open")?;
    let late = make_file(&*files, root, b"late", 82, b"promised and not committed")?;
    files.sync(late)?;
    files.rename(&who(83), root, b"late", root, b"latest")?;
    files.set_xattr(&who(84), late, b"user.late", b"too", XattrMode::Any)?;
    files.remove_xattr(&who(84), late, b"user.late")?;
    files.set_attributes(&who(85), late, &AttributeChange { size: Some(8), ..AttributeChange::default() }, None)?;
    files.link(&who(86), late, root, b"linked")?;
    files.punch(&who(87), late, 0, 4)?;
    files.create(
        &who(88),
        root,
        b"late link",
        &NewObject::Symlink(b"latest".to_vec()),
        0o777,
        &AttributeChange::default(),
    )?;
    files.remove(&who(89), root, b"pipe").map(drop)
}
