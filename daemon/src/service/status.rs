//! How the daemon is.

use std::sync::atomic::Ordering;

use cow_api::v1::{State, Status};

use crate::clock;
use crate::service::convert::{shown_backlog, shown_counters, shown_space};
use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// How the daemon is.
    pub fn status(&self) -> Answer<Status> {
        let (pool, parts) = (self.pool(), &self.parts);
        let listing = self.listing()?;
        let destroyed = pool.destroyed().map_err(problem)?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pool_id: pool.id().0.iter().map(|byte| format!("{byte:02x}")).collect(),
            pool: parts.pool_path.display().to_string(),
            state: self.state(),
            started: clock::time(self.started),
            uptime_seconds: self.began.elapsed().as_secs(),
            nfs: self.front.get().map(|front| front.address()),
            http: parts.http.clone(),
            datasets: listing.datasets.len() as u64,
            snapshots: listing.snapshots.len() as u64,
            destroyed: (destroyed.datasets.len() + destroyed.snapshots.len()) as u64,
            jobs: parts.jobs.active() as u64,
            connections: self.front.get().map_or(0, |front| front.connections()),
            backlog: shown_backlog(&pool.backlog()),
            space: shown_space(&pool.space().map_err(problem)?),
            scrub: parts.scrubber.progress(),
            counters: shown_counters(&pool.counters()),
        })
    }

    fn state(&self) -> State {
        if self.is_stopping.load(Ordering::Relaxed) {
            State::Stopping
        } else if self.parts.maintenance.is_poisoned() {
            State::Poisoned
        } else {
            State::Serving
        }
    }
}
