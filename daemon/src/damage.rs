//! Damage that background work comes upon: it is logged and counted, and work goes on beside it.

use std::sync::atomic::{AtomicU64, Ordering};

use cow_api::v1;
use cow_storage::pool::Damage;

use crate::metrics::Page;

/// Counts what is told.
#[derive(Default)]
pub struct Damages {
    found: AtomicU64,
}

impl Damages {
    /// Tells whoever reads the log, who can look further.
    pub fn tell(&self, damage: &Damage) {
        self.found.fetch_add(1, Ordering::Relaxed);
        let Damage { dataset, path, offset, problem } = damage;
        let (dataset, path) = (dataset.as_deref().unwrap_or_default(), path.as_deref().unwrap_or_default());
        let offset = offset.map(|offset| offset.to_string()).unwrap_or_default();
        tracing::warn!(dataset, path, offset, problem, "what is stored is damaged; 'cowctl verify' finds all that is");
    }

    /// Tells how much that was.
    pub fn metrics(&self, page: &mut Page) {
        let found = self.found.load(Ordering::Relaxed);
        page.counter("cow_damage_found_total", "Damage that background work came upon and passed by.", found);
    }
}

/// Damage as the API has it.
pub fn shown_damage(damage: &Damage) -> v1::Damage {
    let Damage { dataset, path, offset, problem } = damage.clone();
    v1::Damage { dataset, path, offset, problem }
}
