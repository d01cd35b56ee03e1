//! What can be mounted: every dataset, at `/` and its name.

use cow_api::v1;
use cow_storage::catalog::{DatasetInfo, Holder};
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::DatasetId;

use crate::config::describe_rule;
use crate::service::problem::problem;
use crate::service::{Answer, Service};
use crate::shares::Share;

impl Service {
    /// Everything that can be mounted.
    pub fn shares(&self) -> v1::Shares {
        let shown = |share: &Share| v1::Share {
            path: share.path.clone(),
            dataset: share.dataset_name.clone(),
            rules: share.access.rules.iter().map(describe_rule).collect(),
        };
        v1::Shares { shares: self.parts.shares.list().iter().map(|share| shown(share)).collect() }
    }

    /// Who is connected by NFS.
    pub fn clients(&self) -> v1::Clients {
        v1::Clients { clients: self.front.get().map_or_else(Vec::new, |front| front.clients()) }
    }

    /// Shares every dataset.
    pub(super) fn share_all(&self) -> Answer<()> {
        let _in_step = self.sharing.lock();
        self.listing()?.datasets.iter().try_for_each(|info| self.set_share(info)).map_err(problem)
    }

    /// Brings the share of one dataset in step with what the pool has now.
    pub(super) fn share(&self, name: &str) -> Answer<()> {
        let _in_step = self.sharing.lock();
        // Asked with the lock held: what another verb did meanwhile is seen by whoever comes last.
        match self.pool().dataset(name) {
            Ok(info) => self.set_share(&info).map_err(problem),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(problem(error)),
        }
    }

    /// Brings the shares of a dataset and of all below it in step.
    pub(super) fn share_below(&self, name: &str) -> Answer<()> {
        let _in_step = self.sharing.lock();
        let listing = self.listing()?;
        let mut family = listing.datasets.iter().filter(|info| is_at_or_below(&info.name, name));
        family.try_for_each(|info| self.set_share(info)).map_err(problem)
    }

    /// Ends the shares of datasets that are destroyed.
    pub(super) fn unshare(&self, datasets: impl IntoIterator<Item = DatasetId>) {
        let _in_step = self.sharing.lock();
        for dataset in datasets {
            self.parts.shares.remove(dataset);
        }
    }

    fn set_share(&self, info: &DatasetInfo) -> Result<(), Error> {
        let file_system = match self.pool().file_system_at(Holder::Head(info.id)) {
            Ok(file_system) => file_system,
            // Destroyed meanwhile: that verb is about to bring the table in step.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Stale) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.parts.shares.set(Share {
            path: format!("/{}", info.name),
            dataset_name: info.name.clone(),
            dataset: info.id,
            // Ids of datasets and snapshots are drawn from the same numbers, so no two views have the same.
            fsid: info.id.0,
            file_system,
            access: self.parts.access.clone(),
        });
        Ok(())
    }
}

/// Whether a dataset is that one, or below it.
pub fn is_at_or_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
