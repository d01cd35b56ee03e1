//! The parts of data virtualization, and what a killed daemon left of its jobs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cow_api::v1::Problem;

use crate::config::Config;
use crate::daemon::failure::{THREADS, failure};
use crate::daemon::ground;
use crate::jobs::Jobs;
use crate::service::Service;
use crate::state::State;
use crate::virtualization::{Environments, HostGround, Parts, Plugins, ServiceStore, Tenant, Virtualization};

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
    /// Where NFS listens.
    pub port: u16,
}

/// Joins the parts, and sets right in a thread of its own what jobs of a killed daemon left: hosts may take their time.
pub fn start(
    config: &Config,
    service: &Arc<Service>,
    jobs: &Arc<Jobs>,
    state: Arc<State>,
    outside: Outside,
) -> Result<Arc<Virtualization>, Problem> {
    let Outside { environments, plugins, port } = outside;
    let shares_locks = config.rpcbind || config.portmapper.is_some();
    let virtualization = Virtualization::new(Parts {
        key: ground::key(&state)?,
        state,
        jobs: jobs.clone(),
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
    Ok(virtualization)
}
