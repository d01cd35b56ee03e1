//! The parts joined: pool, background work, service, NFS and the control API.
//!
//! Invariant: nothing is served before the pool has recovered, and what is stopped is stopped in the order that lets
//! each part end its work on those below it.

mod failure;
mod front;
mod ground;
mod rescue;
mod store;
mod virtual_data;

use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cow_api::v1::Problem;
use cow_storage::pool::Pool;

use crate::actions::{self, Actions};
use crate::clock;
use crate::config::Config;
use crate::control::{Control, Token};
use crate::damage::Damages;
use crate::events::Events;
use crate::fuse::Mounts;
use crate::jobs::{Jobs, Limits};
use crate::locks::Locks;
use crate::logging::Chain;
use crate::maintenance::{Maintenance, Pace};
use crate::metrics::process;
use crate::notify::Notifier;
use crate::scrubbing::{self, Scrubber};
use crate::service::{Parts, Service};
use crate::shares::{PoolViews, Shares};
use crate::state::State;
use crate::virtualization::{Clock, Environments, Verbs};

pub use crate::daemon::failure::{config_failure, failure};
use crate::daemon::front::Nfs;
pub use crate::daemon::rescue::recover_superblock;

/// Where in the pool's directory cowd keeps its own state.
const STATE: &str = "state";
/// How long jobs may take to notice that they are cancelled.
const JOBS_STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// A daemon that serves.
pub struct Daemon {
    pool: Pool,
    maintenance: Arc<Maintenance>,
    scrubber: Arc<Scrubber>,
    jobs: Arc<Jobs>,
    service: Arc<Service>,
    nfs: Arc<Nfs>,
    mounts: Arc<Mounts>,
    environments: Arc<Environments>,
    control: Control,
    socket: Option<PathBuf>,
}

impl Daemon {
    /// Opens or makes the pool and serves it. `given` is the control socket that the service manager opened, if it
    /// did; `on_poisoned` is called when the pool must be opened again; `clock` tells the time to schedules.
    pub fn start(
        config: &Config,
        notifier: &Arc<Notifier>,
        given: Option<UnixListener>,
        on_poisoned: Box<dyn Fn() + Send + Sync>,
        clock: Clock,
    ) -> Result<Self, Problem> {
        let began = Instant::now();
        let token = config.token_file.as_deref().map(Token::read).transpose();
        let token = token.map_err(|error| failure(&error, "'cowd default-config' says what it must look like"))?;
        // First of all: while a daemon that is stopping has the directory, its socket is not to be touched.
        let media = store::take(config)?;
        let socket = given.is_none().then(|| config.control.clone());
        let (listeners, http) = failure::listeners(config, given)?;
        notifier.status("opening the pool");
        let pool = store::open(config, media)?;
        let state = Arc::new(State::open(&config.pool.join(STATE))?);
        let pace = Pace {
            commit_interval: config.commit_interval,
            undelete_window: config.undelete_window,
            quiet_after: config.quiet_after,
        };
        let (damages, events) = (Arc::new(Damages::default()), Arc::new(Events::default()));
        let maintenance = Maintenance::start(pool.clone(), pace, notifier.clone(), damages.clone(), on_poisoned);
        let maintenance = Arc::new(maintenance.map_err(|error| failure(&error, failure::THREADS))?);
        let pace = scrubbing::Pace { interval: config.scrub_interval, rate: config.scrub_rate };
        let scrubber = Scrubber::start(pool.clone(), pace, damages, events.clone());
        let scrubber = Arc::new(scrubber.map_err(|error| failure(&error, failure::THREADS))?);
        let limits = Limits { running: config.jobs_running_max, kept: config.jobs_kept_max };
        let jobs = Jobs::new(limits, events.clone(), state.clone())?;
        let (shares, locks) = (Arc::new(Shares::default()), Arc::new(Locks::default()));
        let service = Service::new(Parts {
            pool: pool.clone(),
            pool_path: config.pool.clone(),
            shares: shares.clone(),
            locks: locks.clone(),
            access: Arc::new(config.exports.clone()),
            jobs: jobs.clone(),
            events,
            maintenance: maintenance.clone(),
            scrubber: scrubber.clone(),
            undelete_window: config.undelete_window,
            http: http.map(|address| address.to_string()),
        })?;
        let views = Arc::new(PoolViews::new(pool.clone(), shares));
        let nfs = Arc::new(Nfs::start(config, views.clone(), &pool, locks.clone())?);
        service.set_front(nfs.clone());
        let mounts = Mounts::new(views, locks, &config.pool);
        service.set_mounts(mounts.clone());
        add_metrics(&service, &maintenance, &scrubber, &nfs, &mounts);
        let front = nfs.clone();
        maintenance.when_quiet(Box::new(move || front.release_memory()));
        mounts.restore();
        let plugins = ground::plugins(config, state.clone());
        let environments = ground::environments(config, state.clone())?;
        let kept = actions::Limits { kept: config.actions_kept_max, age: config.actions_kept_time };
        let actions = Arc::new(Actions::new(state.clone(), kept));
        let outside = virtual_data::Outside {
            actions: actions.clone(),
            clock,
            environments: environments.clone(),
            plugins: plugins.clone(),
            port: nfs.listens_at().port(),
        };
        let virtualization = virtual_data::start(config, &service, &jobs, state, outside)?;
        let verbs =
            Verbs { service: service.clone(), virtualization, environments: environments.clone(), plugins, actions };
        let control = Control::start(listeners, verbs, token);
        let control = control.map_err(|error| failure(&error, failure::THREADS))?;
        let daemon = Self { pool, maintenance, scrubber, jobs, service, nfs, mounts, environments, control, socket };
        daemon.announce(notifier, began);
        Ok(daemon)
    }

    fn announce(&self, notifier: &Notifier, began: Instant) {
        let millis = began.elapsed().as_millis() as u64;
        let shares = self.service.share_count();
        let control = self.socket.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let http = self.http().map(|address| address.to_string()).unwrap_or_default();
        let nfs = self.nfs().to_string();
        tracing::info!(nfs, control, http, datasets = shares as u64, millis, "serving");
        notifier.ready(&format!("serving {shares} datasets by NFS at {nfs}"));
    }

    /// Where NFS listens.
    pub fn nfs(&self) -> SocketAddr {
        self.nfs.listens_at()
    }

    /// Where the control API listens for TCP, if it does.
    pub fn http(&self) -> Option<SocketAddr> {
        self.control.address()
    }

    /// The control API's socket, unless the service manager opened it.
    pub fn socket(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }

    /// Stops serving, ends what runs, and closes the pool.
    pub fn stop(mut self) {
        let began = Instant::now();
        self.service.set_stopping();
        self.control.stop();
        if !self.jobs.stop(JOBS_STOP_TIME_MAX) {
            tracing::warn!("a job does not end; what it did is kept as far as it came");
        }
        self.environments.hosts().close();
        self.mounts.stop();
        self.nfs.stop();
        self.scrubber.stop();
        self.maintenance.stop();
        match self.pool.close(clock::now()) {
            Ok(()) => tracing::info!(millis = began.elapsed().as_millis() as u64, "stopped"),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the last commit failed; the log is replayed at the next start")
            }
        }
    }
}

fn add_metrics(
    service: &Arc<Service>,
    maintenance: &Arc<Maintenance>,
    scrubber: &Arc<Scrubber>,
    nfs: &Arc<Nfs>,
    mounts: &Arc<Mounts>,
) {
    let metrics = service.metrics();
    // Not the service itself: it would own itself and never go, nor would the pool.
    let weak = Arc::downgrade(service);
    metrics.add(Box::new(move |page| {
        if let Some(service) = weak.upgrade() {
            service.pool_metrics(page);
        }
    }));
    let maintenance = maintenance.clone();
    metrics.add(Box::new(move |page| maintenance.metrics(page)));
    let scrubber = scrubber.clone();
    metrics.add(Box::new(move |page| scrubber.metrics(page)));
    let nfs = nfs.clone();
    metrics.add(Box::new(move |page| nfs.metrics(page)));
    let mounts = mounts.clone();
    metrics.add(Box::new(move |page| mounts.metrics(page)));
    metrics.add(Box::new(process));
}
