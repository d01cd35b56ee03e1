//! A pool in a directory, its datasets served by NFS, and its background work: a daemon without its control API.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cow_storage::catalog::Properties;
use cow_storage::error::Result;
use cow_storage::executor::Inline;
use cow_storage::format::{PoolId, Timestamp};
use cow_storage::media::{Directory, Media};
use cow_storage::pool::{Budgets, NewPool, Pool};
use cowd::nfs::Server;
use cowd::shares::{PoolViews, Share, Shares};

use crate::nfs_copy::Url;
use crate::served::{open_access, serve};

/// More commits than give back all that was freed, if nobody writes.
const COMMITS_MAX: u32 = 10_000;

/// An open pool that is served. Dropping it closes the pool.
pub struct Pooled {
    /// The pool.
    pub pool: Pool,
    shares: Arc<Shares>,
    server: Server,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Pooled {
    /// Opens the pool in `directory`, which is made where there is none, and shares all its datasets.
    pub fn open(directory: &Path) -> Result<Self> {
        let media: Arc<dyn Media> = Arc::new(Directory::open(directory)?);
        if !Pool::exists(&*media)? {
            let (id, secret) = (PoolId(*b"cow-outer-tests!"), [9; 32]);
            Pool::create(&media, &NewPool { id, secret, segment_size: 8 << 20, intent_size: 8 << 20 })?;
        }
        let boot = u64::from(now().nanoseconds) << 32 | u64::from(std::process::id());
        let budgets = Budgets { dirty: 32 << 20, ..Budgets::default() };
        let pool = Pool::open(media, Arc::new(Inline), budgets, boot, now())?;
        let shares = Arc::new(Shares::default());
        let server = serve(Arc::new(PoolViews::new(pool.clone(), Arc::clone(&shares))));
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Some(spawn_worker(pool.clone(), Arc::clone(&stop)));
        let pooled = Self { pool, shares, server, stop, worker };
        for dataset in pooled.pool.list()?.datasets {
            pooled.share(&dataset.name)?;
        }
        Ok(pooled)
    }

    /// Makes a dataset and shares it.
    pub fn create(&self, name: &str, properties: &Properties) -> Result<()> {
        self.pool.create_dataset(name, properties, now())?;
        self.share(name)
    }

    /// Lets clients mount a dataset at `/` and its name.
    pub fn share(&self, name: &str) -> Result<()> {
        let dataset = self.pool.dataset(name)?.id;
        self.shares.set(Share {
            path: format!("/{name}"),
            dataset_name: name.to_owned(),
            dataset,
            fsid: dataset.0,
            file_system: self.pool.file_system(name)?,
            access: Arc::new(open_access()),
            access_from: None,
        });
        Ok(())
    }

    /// Where clients find a dataset.
    pub fn url(&self, name: &str) -> Url {
        Url { server: self.server.local_addr().expect("the server listens"), path: format!("/{name}") }
    }

    /// Reads and checks everything, and fails when something is wrong.
    pub fn assert_sound(&self) {
        let report = self.pool.verify(None, &mut |_, _| true).expect("the pool can be verified");
        assert!(report.damage.is_empty(), "{report:#?}");
        assert!(report.objects > 0, "nothing was verified");
    }

    /// Gives back the space of all that was destroyed.
    pub fn purge(&self) -> Result<()> {
        let later = Timestamp { seconds: now().seconds + 1, nanoseconds: 0 };
        self.pool.purge(later, now())?;
        // While the worker is at a step, there is nothing to do for this one, but not all is done.
        while !self.pool.reclaim_step(1 << 20, now())?.idle || self.pool.backlog().reclaims > 0 {}
        // What a commit freed is given back by the one after it; later, if the worker made the last step and has not yet told
        // commits to hurry.
        self.pool.commit(now())?;
        let mut commits_left = COMMITS_MAX;
        while self.pool.backlog().changes > 0 && commits_left > 0 {
            thread::sleep(Duration::from_millis(1));
            self.pool.commit(now())?;
            commits_left -= 1;
        }
        Ok(())
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.server.shutdown();
        let _ = self.worker.take().map(JoinHandle::join);
        let _ = self.pool.close(now());
    }
}

/// Commits when that is due, and reclaims and cleans a step at a time.
fn spawn_worker(pool: Pool, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    thread::spawn(move || {
        for tick in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
            let work = match tick % 20 {
                0 => pool.commit(now()),
                1 => pool.reclaim_step(1 << 14, now()).map(drop),
                2 => pool.clean_step(4 << 20, now()).map(drop),
                _ if pool.commit_due() => pool.commit(now()),
                _ => Ok(()),
            };
            if let Err(error) = work {
                eprintln!("background work: {error:?}");
            }
        }
    })
}

/// The present.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    Timestamp { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}
