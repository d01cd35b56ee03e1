//! The verbs of data virtualization: environments, plugins, dSources and VDBs.
//!
//! A verb checks what it can at once and begins a job; the job follows a recipe, which keeps a journal and calls the
//! plugin. It stands on the service, whose verbs make, clone and share datasets, and knows no HTTP.
//!
//! Invariant: a job ends with the world as before it or as after it, also when cowd is killed; what cannot be set right
//! yet is a fault, and tried again.

pub mod environments;
pub mod plugins;
pub mod policies;

mod act;
mod bookmarks;
mod differences;
mod discovery;
mod ground;
mod guard;
mod hidden;
mod hooking;
mod hooks;
mod journal;
mod library;
mod outside;
mod points;
mod recipes;
mod records;
mod recovery;
mod run;
mod shown;
mod sources;
mod store;
mod tenants;
mod work;
mod workers;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use cow_api::v1::{Code, Problem};

use crate::actions::Actions;
use crate::bell::Bell;
use crate::jobs::Jobs;
use crate::plugins::Caller;
use crate::secrets::{Key, Secret};
use crate::service::{Answer, Service};
use crate::state::State;
pub use crate::virtualization::discovery::Tenant;
pub use crate::virtualization::environments::{Environments, Tenants};
pub use crate::virtualization::ground::HostGround;
pub use crate::virtualization::guard::Deed;
pub use crate::virtualization::outside::{Ground, IsCancelled, Packages, Store};
pub use crate::virtualization::plugins::{PluginTenants, Plugins};
pub use crate::virtualization::policies::{Clock, Scheduler};
use crate::virtualization::records::Sealed;
pub use crate::virtualization::store::ServiceStore;
pub use crate::virtualization::workers::{WORKER_PACE, Workers};

/// What the sealed values of plugins are sealed for.
const SEALED_FOR: &str = "a plugin's data";

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
    /// Who asked for what.
    pub actions: Arc<Actions>,
}

/// What data virtualization is made of.
pub struct Parts {
    /// What is remembered.
    pub state: Arc<State>,
    /// Long work.
    pub jobs: Arc<Jobs>,
    /// What was asked for.
    pub actions: Arc<Actions>,
    /// Seals what plugins keep.
    pub key: Key,
    /// Datasets.
    pub store: Arc<dyn Store>,
    /// Hosts.
    pub ground: Arc<dyn Ground>,
    /// Installed plugins.
    pub packages: Arc<dyn Packages>,
    /// Calls them.
    pub caller: Arc<dyn Caller>,
    /// Where datasets are mounted on this host while they are copied.
    pub scratch: PathBuf,
}

/// Data virtualization.
pub struct Virtualization {
    state: Arc<State>,
    jobs: Arc<Jobs>,
    actions: Arc<Actions>,
    key: Key,
    store: Arc<dyn Store>,
    ground: Arc<dyn Ground>,
    packages: Arc<dyn Packages>,
    caller: Arc<dyn Caller>,
    scratch: PathBuf,
    /// Sources that a job works on.
    busy: Mutex<BTreeSet<u64>>,
    /// Snapshots that jobs need, by name, once for each job.
    needed: Mutex<Vec<String>>,
    /// Rung when policies change.
    schedules: Arc<Bell>,
}

impl Drop for Virtualization {
    fn drop(&mut self) {
        self.schedules.stop();
    }
}

impl Virtualization {
    /// Of these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { state, jobs, actions, key, store, ground, packages, caller, scratch } = parts;
        Arc::new(Self {
            state,
            jobs,
            actions,
            key,
            store,
            ground,
            packages,
            caller,
            scratch,
            busy: Mutex::default(),
            needed: Mutex::default(),
            schedules: Arc::default(),
        })
    }

    /// Rung when policies change, and stopped when nobody needs schedules any more.
    pub fn schedules(&self) -> Arc<Bell> {
        self.schedules.clone()
    }

    /// What is remembered.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Long work.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Keeps a value for nobody else to read.
    fn seal(&self, value: &Value) -> Answer<Sealed> {
        let sealed = self.key.seal(&Secret::new(value.to_string()), SEALED_FOR);
        sealed.map(Sealed).map_err(|error| Problem::new(Code::Io, format!("cannot seal a plugin's data: {error}")))
    }

    /// Reads it again.
    fn unseal(&self, sealed: &Sealed) -> Answer<Value> {
        let wrong = || {
            let problem = Problem::new(Code::Corrupt, "cannot open a plugin's data: it was sealed with another key");
            problem.with_hint("put back the key file that belongs to this state")
        };
        let text = self.key.open(&sealed.0, SEALED_FOR).map_err(|_| wrong())?;
        serde_json::from_str(text.expose()).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests;
