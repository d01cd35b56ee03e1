//! The verbs of data virtualization: environments, plugins, dSources and VDBs.
//!
//! It stands on the service, whose verbs make, clone and share datasets, and knows no HTTP.

pub mod environments;
pub mod plugins;

use std::sync::Arc;

use cow_api::v1::{Code, JobState, Problem};

use crate::service::Service;
use crate::state::State;
pub use crate::virtualization::environments::{Environments, Tenants};
pub use crate::virtualization::plugins::{PluginTenants, Plugins};

/// Everything that users can ask for.
#[derive(Clone)]
pub struct Verbs {
    /// Of the store: datasets, snapshots, shares, mounts.
    pub service: Arc<Service>,
    /// Of data virtualization.
    pub virtualization: Arc<Virtualization>,
    /// Of hosts.
    pub environments: Arc<Environments>,
    /// Of plugins.
    pub plugins: Arc<Plugins>,
}

/// What data virtualization is made of.
pub struct Virtualization {
    service: Arc<Service>,
    state: Arc<State>,
}

impl Virtualization {
    /// Over what is stored and what is remembered.
    pub fn new(service: Arc<Service>, state: Arc<State>) -> Self {
        Self { service, state }
    }

    /// The verbs below.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Says of jobs that an earlier daemon left how they ended. To be called once, before new ones begin.
    pub fn recover(&self) {
        for job in self.service.jobs().interrupted() {
            let problem = match job.progress.state {
                JobState::Queued => Problem::new(Code::Cancelled, "the daemon stopped before it began"),
                _ => Problem::new(Code::Unavailable, "the daemon stopped while it ran").with_hint("begin it again"),
            };
            self.service.jobs().conclude(job.id, Err(problem));
        }
    }

    /// What is remembered.
    pub fn state(&self) -> &State {
        &self.state
    }
}
