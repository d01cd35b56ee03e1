//! Holds: tags that keep a snapshot from being destroyed.

use cow_api::v1::{Change, Snapshot};

use crate::clock;
use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// Puts a hold on a snapshot.
    pub fn hold(&self, snapshot: &str, tag: &str) -> Answer<Snapshot> {
        self.pool().hold(snapshot, tag, clock::now()).map_err(problem)?;
        self.snapshot_changed(snapshot, Change::Set);
        self.snapshot(snapshot)
    }

    /// Takes a hold off a snapshot.
    pub fn release_hold(&self, snapshot: &str, tag: &str) -> Answer<Snapshot> {
        self.pool().release_hold(snapshot, tag, clock::now()).map_err(problem)?;
        self.snapshot_changed(snapshot, Change::Set);
        self.snapshot(snapshot)
    }
}
