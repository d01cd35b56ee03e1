//! The parts of data virtualization, and what a killed daemon left of its jobs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cow_api::v1::Problem;

use crate::actions::Actions;
use crate::config::Config;
use crate::daemon::failure::{THREADS, failure};
use crate::daemon::ground;
use crate::jobs::Jobs;
use crate::service::Service;
use crate::state::State;
use crate::virtualization::{
    Clock, Environments, HostGround, Parts, Plugins, Scheduler, ServiceStore, Tenant, Virtualization, WORKER_PACE,
    Workers,
};

/// Beside the control socket: where datasets are mounted on this host while they are copied.
const SCRATCH: &str = "cow-copies";
/// How often what could not be set right is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is outside of it.
pub struct Outside {
    /// Hosts.
    pub environments: Arc<Environments>,
    /// Plugins.
    pub plugins: Arc<Plugins>,
    /// Who asked for what.
    pub actions: Arc<Actions>,
    /// Where NFS listens.
    pub port: u16,
    /// What tells the time to schedules.
    pub clock: Clock,
}

/// Joins the parts, and sets right in a thread of its own what jobs of a killed daemon left: hosts may take their time.
pub fn start(
    config: &Config,
    service: &Arc<Service>,
    jobs: &Arc<Jobs>,
    state: Arc<State>,
    outside: Outside,
) -> Result<Arc<Virtualization>, Problem> {
    let Outside { environments, plugins, actions, port, clock } = outside;
    let shares_locks = config.rpcbind || config.portmapper.is_some();
    let virtualization = Virtualization::new(Parts {
        key: ground::key(&state)?,
        state,
        jobs: jobs.clone(),
        actions,
        store: Arc::new(ServiceStore(service.clone())),
        ground: Arc::new(HostGround::new(environments.clone(), port, shares_locks)),
        packages: plugins.clone(),
        caller: plugins.runner().clone(),
        scratch: config.control.with_file_name(SCRATCH),
    });
    environments.set_tenants(Arc::new(Tenant(virtualization.clone())));
    plugins.set_tenants(Arc::new(Tenant(virtualization.clone())));
    let interrupted = virtualization.interrupted()?;
    let weak = Arc::downgrade(&virtualization);
    let settle = move || {
        if let Some(virtualization) = weak.upgrade() {
            virtualization.recover(interrupted);
        }
        loop {
            thread::sleep(PATIENCE);
            let Some(virtualization) = weak.upgrade() else { return };
            if let Err(problem) = virtualization.settle_debts() {
                tracing::error!(%problem, "cannot look for what is still to be undone");
            }
        }
    };
    thread::Builder::new().name("settle".to_owned()).spawn(settle).map_err(|error| failure(&error, THREADS))?;
    begin_schedules(&virtualization, clock)?;
    begin_workers(&virtualization)?;
    Ok(virtualization)
}

/// Runs policies when they are due, until nobody needs them any more.
fn begin_schedules(virtualization: &Arc<Virtualization>, clock: Clock) -> Result<(), Problem> {
    let (weak, bell) = (Arc::downgrade(virtualization), virtualization.schedules());
    let run = move || {
        let mut scheduler = Scheduler::default();
        loop {
            let Some(virtualization) = weak.upgrade() else { return };
            let rest = scheduler.tick(&virtualization, (clock.now)());
            drop(virtualization);
            if !bell.rest(rest.min(clock.rest_max)) {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("schedules".to_owned()).spawn(run);
    thread.map(drop).map_err(|error| failure(&error, THREADS))
}

/// Runs the workers of dSources now and then, until nobody needs them any more.
fn begin_workers(virtualization: &Arc<Virtualization>) -> Result<(), Problem> {
    let weak = Arc::downgrade(virtualization);
    let run = move || {
        let mut workers = Workers::default();
        loop {
            thread::sleep(WORKER_PACE);
            let Some(virtualization) = weak.upgrade() else { return };
            if let Err(problem) = workers.tick(&virtualization) {
                tracing::error!(%problem, "cannot look which workers are to run");
            }
        }
    };
    let thread = thread::Builder::new().name("workers".to_owned()).spawn(run);
    thread.map(drop).map_err(|error| failure(&error, THREADS))
}
