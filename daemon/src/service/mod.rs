//! The verbs: one function for each thing that a user can ask for.
//!
//! Invariant: what can be mounted follows what exists: every verb that makes, renames or ends a dataset brings the
//! table of shares in step before it answers.

mod clone;
mod convert;
mod dataset;
mod destroy;
mod diff;
mod hold;
mod lock;
mod metrics;
mod mount;
mod own;
mod problem;
mod rewind;
mod scrub;
mod share;
mod sharing;
mod snapshot;
mod space;
mod status;
mod transfer;
mod verify;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cow_api::v1::{Change, Client, Happening, Problem};
use cow_storage::format::Timestamp;
use cow_storage::pool::Pool;
use parking_lot::Mutex;

use crate::clock;
use crate::events::Events;
use crate::jobs::Jobs;
use crate::locks::{self, Locks};
use crate::maintenance::Maintenance;
use crate::metrics::Registry;
use crate::scrubbing::Scrubber;
pub use crate::service::destroy::How;
pub use crate::service::mount::LocalMounts;
use crate::shares::{Access, Shares};

/// What a verb answers.
pub type Answer<T> = Result<T, Problem>;

/// What the service asks of the NFS server.
pub trait Front: Send + Sync {
    /// Where it listens.
    fn address(&self) -> String;
    /// Who is connected.
    fn clients(&self) -> Vec<Client>;
    /// How many connections there are.
    fn connections(&self) -> u64;
    /// Takes all locks of a client, which is no longer waited for either. Returns how many there were.
    fn release_locks(&self, client: &locks::Client) -> usize;
}

/// What the service is made of.
pub struct Parts {
    /// The pool.
    pub pool: Pool,
    /// Where it is.
    pub pool_path: PathBuf,
    /// What can be mounted; the service keeps it in step.
    pub shares: Arc<Shares>,
    /// The locks of all fronts.
    pub locks: Arc<Locks>,
    /// Who may mount it, where no dataset says otherwise.
    pub access: Arc<Access>,
    /// Long work.
    pub jobs: Arc<Jobs>,
    /// Who listens.
    pub events: Arc<Events>,
    /// The pool's background work.
    pub maintenance: Arc<Maintenance>,
    /// What scrubs it.
    pub scrubber: Arc<Scrubber>,
    /// How long what was destroyed can be undeleted.
    pub undelete_window: Duration,
    /// Where the API listens for TCP.
    pub http: Option<String>,
}

/// All that users can ask for.
pub struct Service {
    parts: Parts,
    front: OnceLock<Arc<dyn Front>>,
    mounts: OnceLock<Arc<dyn LocalMounts>>,
    metrics: Registry,
    started: Timestamp,
    began: Instant,
    is_stopping: AtomicBool,
    /// Held while the table of shares is brought in step.
    sharing: Mutex<()>,
}

impl Service {
    /// A service that shares all datasets of the pool.
    pub fn new(parts: Parts) -> Answer<Arc<Self>> {
        let service = Arc::new(Self {
            parts,
            front: OnceLock::new(),
            mounts: OnceLock::new(),
            metrics: Registry::default(),
            started: clock::now(),
            began: Instant::now(),
            is_stopping: AtomicBool::new(false),
            sharing: Mutex::new(()),
        });
        service.share_all()?;
        Ok(service)
    }

    /// Tells the service of the NFS server. Only the first call counts.
    pub fn set_front(&self, front: Arc<dyn Front>) {
        let _ = self.front.set(front);
    }

    /// Tells the service of what mounts on this host. Only the first call counts.
    pub fn set_mounts(&self, mounts: Arc<dyn LocalMounts>) {
        let _ = self.mounts.set(mounts);
    }

    /// Everything that has metrics to tell.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// Long work.
    pub fn jobs(&self) -> &Jobs {
        &self.parts.jobs
    }

    /// Who listens.
    pub fn events(&self) -> &Events {
        &self.parts.events
    }

    /// Says in the status that the daemon is stopping.
    pub fn set_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn pool(&self) -> &Pool {
        &self.parts.pool
    }

    fn dataset_changed(&self, name: &str, change: Change) {
        self.parts.events.publish(Happening::Dataset { name: name.to_owned(), change });
    }

    fn snapshot_changed(&self, name: &str, change: Change) {
        self.parts.events.publish(Happening::Snapshot { name: name.to_owned(), change });
    }
}
