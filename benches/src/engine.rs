//! An engine of its own in a scratch directory, which is gone when the benchmark is.
//!
//! `COW_BENCH_DIR` says where scratch directories are made; by default in the system's place for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use cow_storage::error::Result;
use cow_storage::format::{InodeNumber, PoolId, Timestamp};
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use cow_storage::media::{Directory, Media};
use cow_storage::pool::{Budgets, NewPool, Pool};
use cowd::executor::Threads;

/// An open pool whose directory is removed with it.
pub struct Engine {
    /// The pool.
    pub pool: Pool,
    committer: Committer,
    home: Home,
}

impl Engine {
    /// An empty pool in a new scratch directory. `name` tells apart those of one process.
    pub fn new(name: &str) -> Self {
        let home = Home::new(name);
        let media = create(&home.directory).expect("a pool can be made");
        Self::open(media, home)
    }

    /// An empty pool in a directory, which stays.
    ///
    /// # Errors
    /// When none can be made there.
    pub fn kept(directory: &Path) -> Result<Self> {
        let home = Home { directory: directory.to_owned(), stays: true };
        Ok(Self::open(create(directory)?, home))
    }

    /// The same pool with empty caches: what is read next comes from the disk. All other handles must be gone.
    #[must_use]
    pub fn reopened(self) -> Self {
        let Self { pool, committer, home } = self;
        drop((committer, pool));
        let media = Arc::new(Directory::open(&home.directory).expect("nobody else has the scratch directory"));
        Self::open(media, home)
    }

    fn open(media: Arc<dyn Media>, home: Home) -> Self {
        let threads = Arc::new(Threads::of_this_machine().expect("threads can be started"));
        let pool = Pool::open(media, threads, Budgets::default(), 1, now()).expect("the pool opens");
        let committer = Committer::start(pool.clone());
        Self { pool, committer, home }
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.home.directory
    }

    /// Bytes that the pool's files take on the host.
    pub fn host_bytes(&self) -> u64 {
        allocated(&self.home.directory)
    }

    /// Does all background work that is due, so that the next measurement does not pay for the last.
    pub fn settle(&self) {
        self.pool.commit(now()).expect("the pool commits");
        self.pool.purge(now(), now()).expect("the pool purges");
        while !self.pool.reclaim_step(1 << 20, now()).expect("the pool reclaims").idle {}
        self.pool.commit(now()).expect("the pool commits");
    }
}

fn create(directory: &Path) -> Result<Arc<dyn Media>> {
    let new =
        NewPool { id: PoolId(*b"cow-benchmarks!!"), secret: [7; 32], segment_size: 64 << 20, intent_size: 256 << 20 };
    let media: Arc<dyn Media> = Arc::new(Directory::open(directory)?);
    Pool::create(&media, &new)?;
    Ok(media)
}

/// A pool's directory, which is removed with all in it unless it stays.
struct Home {
    directory: PathBuf,
    stays: bool,
}

impl Home {
    fn new(name: &str) -> Self {
        let parent = env::var_os("COW_BENCH_DIR").map_or_else(env::temp_dir, PathBuf::from);
        let directory = parent.join(format!("cow-bench-{}-{name}", process::id()));
        fs::create_dir_all(&directory).expect("the scratch directory can be made");
        Self { directory, stays: false }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.stays {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Commits when that is due, as the daemon does: so what is written goes to the disk while more comes in. Closes the pool
/// in the end.
struct Committer {
    pool: Pool,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    fn start(pool: Pool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                    if pool.commit_due() {
                        pool.commit(now()).expect("the pool commits");
                    }
                }
            }
        });
        Self { pool, stop, thread: Some(thread) }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = self.pool.close(now());
    }
}

/// The present.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    Timestamp { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}

/// The superuser, whose changes are durable with the next sync.
pub fn context() -> Context {
    Context { now: now(), caller: Caller::Superuser, durable: false, call: None }
}

/// Makes an empty file in `directory`.
pub fn create_file(files: &dyn FileSystem, directory: InodeNumber, name: &str) -> InodeNumber {
    let object = NewObject::Regular { exclusive: None };
    let initial = AttributeChange::default();
    let created = files.create(&context(), directory, name.as_bytes(), &object, 0o644, &initial);
    created.expect("a file can be made").object.inode
}

/// Writes `bytes` at `offset`, in pieces as an NFS client sends them.
pub fn write(files: &dyn FileSystem, inode: InodeNumber, offset: u64, bytes: &[u8]) {
    let mut at = offset;
    for piece in bytes.chunks(1 << 20) {
        files.write(&context(), inode, at, piece, Stability::Unstable).expect("the pool takes writes");
        at += piece.len() as u64;
    }
}

fn allocated(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(directory).expect("the pool's directory can be read");
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}
