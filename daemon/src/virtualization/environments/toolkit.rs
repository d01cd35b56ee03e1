//! The toolkit is kept as this cowd has it: it is looked at before a host's first command.
//!
//! Invariant: it is looked at once for each environment while cowd runs, as a new cowd may bring another one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::hosts::Control;
use crate::service::Answer;
use crate::virtualization::environments::Environments;

/// How often one that waits for another's look asks whether it is still wanted.
const PACE: Duration = Duration::from_millis(100);

/// The environments that were looked at, or are. Those that are have their lock taken.
#[derive(Default)]
pub struct Looked(Mutex<HashMap<u64, Arc<Mutex<bool>>>>);

impl Looked {
    fn of(&self, environment: u64) -> Arc<Mutex<bool>> {
        self.0.lock().entry(environment).or_default().clone()
    }

    /// Says that an environment's toolkit is as it should be.
    pub fn note(&self, environment: u64) {
        self.0.lock().insert(environment, Arc::new(Mutex::new(true)));
    }

    /// Forgets an environment.
    pub fn forget(&self, environment: u64) {
        self.0.lock().remove(&environment);
    }
}

impl Environments {
    /// Brings the toolkit up to date, as its first user, unless this cowd has looked at it before.
    pub fn keep_toolkit(&self, id: u64, control: &dyn Control) -> Answer<()> {
        let looked = self.looked.of(id);
        let mut is_kept = loop {
            if let Some(is_kept) = looked.try_lock_for(PACE) {
                break is_kept;
            }
            if control.is_cancelled() {
                // Those who look hear it too, where it is their job.
                return Ok(());
            }
        };
        if !*is_kept {
            let was_brought = self.hosts.push_toolkit(&self.target(id, None)?, control)?;
            if was_brought {
                tracing::info!(environment = id, "brought the toolkit up to date");
            }
            *is_kept = true;
        }
        Ok(())
    }
}
