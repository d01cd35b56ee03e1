//! Where the space went.

use std::collections::HashMap;

use cow_api::v1::{DatasetSpace, PoolSpace, Space};
use cow_storage::error::ErrorKind;
use cow_storage::format::DatasetId;

use crate::service::convert::shown_space;
use crate::service::problem::problem;
use crate::service::sharing::is_at_or_below;
use crate::service::{Answer, Service};

/// How many pointers are looked at to tell what a destroy would free, where that is not all that is asked: about a second's work.
pub(super) const POINTERS_MAX: u64 = 1_000_000;

impl Service {
    /// What destroying a dataset or snapshot would free, where no more than so many pointers have to be looked at to tell, and
    /// nothing is damaged: who destroys that is not kept from it.
    pub(super) fn would_free(&self, name: &str, pointers: u64) -> Answer<Option<u64>> {
        match self.pool().would_free_within(name, pointers) {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            told => told.map_err(problem),
        }
    }

    /// Space of the pool.
    pub fn pool_space(&self) -> Answer<PoolSpace> {
        self.pool().space().map(|space| shown_space(&space)).map_err(problem)
    }

    /// Space of the pool, and of all datasets or of `under` and what is below it; of these also how well they are stored, for which
    /// all nodes of their heads are read.
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
            let detail = match under {
                Some(_) => Some(self.pool().dataset_space(&info.name).map_err(problem)?),
                None => None,
            };
            let exclusive = match &detail {
                Some(detail) => detail.exclusive,
                None => self.would_free(&info.name, u64::MAX)?.unwrap_or(0),
            };
            datasets.push(DatasetSpace {
                exclusive,
                plain: detail.as_ref().map(|detail| detail.plain),
                stored: detail.as_ref().map(|detail| detail.stored),
                deduplicated: detail.as_ref().map(|detail| detail.deduplicated),
                name: info.name,
                referenced: info.referenced,
                logical: logical.saturating_add(info.referenced),
                snapshots,
                quota: info.properties.quota,
            });
        }
        Ok(Space { pool: self.pool_space()?, datasets })
    }
}
