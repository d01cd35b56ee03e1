//! Where the space went.

use std::collections::HashMap;

use cow_api::v1::{DatasetSpace, Space};
use cow_storage::error::ErrorKind;
use cow_storage::format::DatasetId;

use crate::service::convert::shown_space;
use crate::service::problem::problem;
use crate::service::share::is_at_or_below;
use crate::service::{Answer, Service};

impl Service {
    /// What destroying a dataset or snapshot would free, where the engine knows.
    pub(super) fn would_free(&self, name: &str) -> Answer<Option<u64>> {
        match self.pool().would_free(name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(problem(error)),
        }
    }

    /// Space of the pool, and of all datasets or of `under` and what is below it.
    pub fn space(&self, under: Option<&str>) -> Answer<Space> {
        if let Some(under) = under {
            self.pool().dataset(under).map_err(problem)?;
        }
        let listing = self.listing()?;
        let mut of_snapshots: HashMap<DatasetId, (u64, u64)> = HashMap::new();
        for snapshot in &listing.snapshots {
            let (count, logical) = of_snapshots.entry(snapshot.dataset).or_default();
            *count += 1;
            *logical += snapshot.referenced;
        }
        let mut datasets = Vec::new();
        let wanted = |name: &str| under.is_none_or(|under| is_at_or_below(name, under));
        for info in listing.datasets.into_iter().filter(|info| wanted(&info.name)) {
            let (snapshots, logical) = of_snapshots.get(&info.id).copied().unwrap_or_default();
            datasets.push(DatasetSpace {
                exclusive: self.would_free(&info.name)?.unwrap_or(0),
                name: info.name,
                referenced: info.referenced,
                logical: logical.saturating_add(info.referenced),
                snapshots,
                quota: info.properties.quota,
            });
        }
        Ok(Space { pool: shown_space(&self.pool().space().map_err(problem)?), datasets })
    }
}
