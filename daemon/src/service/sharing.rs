//! The table of shares in step with the pool: every dataset at `/` and its name, for whom its options say.
//!
//! A dataset keeps its own options among its properties, as text; where it has none, those of the nearest dataset in
//! front of its name count, and else the configuration's.
//!
//! Invariant: what one dataset's share takes is bounded by the depth of its name, however many there are, and what
//! those below one take by their number. Options that cannot be read admit nobody.

use std::collections::HashMap;
use std::sync::Arc;

use cow_storage::catalog::{DatasetInfo, Holder};
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::DatasetId;
use parking_lot::MutexGuard;

use crate::service::problem::problem;
use crate::service::{Answer, Service};
use crate::shares::{Access, Share};

/// The property that keeps a share's own options. Nobody else can set one that begins like this.
pub const PROPERTY: &str = "cow:share";
/// How the names of properties begin that are the daemon's own.
pub const RESERVED: &str = "cow:";

/// Options, and the dataset that has them.
#[derive(Clone)]
struct Options {
    access: Arc<Access>,
    from: Option<DatasetId>,
}

impl Service {
    /// Shares every dataset.
    pub(super) fn share_all(&self) -> Answer<()> {
        let in_step = self.sharing.lock();
        let datasets = self.listing()?.datasets;
        self.set_shares(&in_step, &datasets).map_err(problem)
    }

    /// Brings the share of one dataset in step with what the pool has now.
    pub(super) fn share(&self, name: &str) -> Answer<()> {
        let in_step = self.sharing.lock();
        // Asked with the lock held: what another verb did meanwhile is seen by whoever comes last.
        match self.pool().dataset(name) {
            Ok(info) => self.set_shares(&in_step, &[info]).map_err(problem),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(problem(error)),
        }
    }

    /// Brings the shares of a dataset and of all below it in step.
    pub(super) fn share_below(&self, name: &str) -> Answer<()> {
        let in_step = self.sharing.lock();
        self.share_family(&in_step, name)
    }

    /// The same by one who holds the lock.
    pub(super) fn share_family(&self, in_step: &MutexGuard<'_, ()>, name: &str) -> Answer<()> {
        match self.pool().dataset_and_below(name) {
            Ok(family) => self.set_shares(in_step, &family).map_err(problem),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(problem(error)),
        }
    }

    /// Ends the shares of datasets that are destroyed.
    pub(super) fn unshare(&self, datasets: impl IntoIterator<Item = DatasetId>) {
        let _in_step = self.sharing.lock();
        for dataset in datasets {
            self.parts.shares.remove(dataset);
            self.parts.locks.release_dataset(dataset);
        }
    }

    fn set_shares(&self, _in_step: &MutexGuard<'_, ()>, datasets: &[DatasetInfo]) -> Result<(), Error> {
        let mut known = HashMap::new();
        let shares = datasets.iter().map(|info| {
            let options = self.options_of(info, &mut known)?;
            self.new_share(info, options)
        });
        let shares = shares.collect::<Result<Vec<Option<Share>>, Error>>()?;
        self.parts.shares.set_all(shares.into_iter().flatten());
        Ok(())
    }

    /// The share of a dataset, unless it was destroyed meanwhile: that verb is about to bring the table in step.
    fn new_share(&self, info: &DatasetInfo, options: Options) -> Result<Option<Share>, Error> {
        let file_system = match self.pool().file_system_at(Holder::Head(info.id)) {
            Ok(file_system) => file_system,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Stale) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Share {
            path: format!("/{}", info.name),
            dataset_name: info.name.clone(),
            dataset: info.id,
            // Ids of datasets and snapshots are drawn from the same numbers, so no two views have the same.
            fsid: info.id.0,
            file_system,
            access: options.access,
            access_from: options.from,
        }))
    }

    /// The options that count for a dataset. `known` has those that were found already, by name.
    fn options_of(&self, info: &DatasetInfo, known: &mut HashMap<String, Options>) -> Result<Options, Error> {
        let options = match (info.properties.user.get(PROPERTY), info.name.rsplit_once('/')) {
            (Some(text), _) => Options { access: Arc::new(own_options(info, text)), from: Some(info.id) },
            (None, Some((above, _))) => match known.get(above) {
                Some(options) => options.clone(),
                None => self.options_above(above, known)?,
            },
            (None, None) => Options { access: self.parts.access.clone(), from: None },
        };
        known.insert(info.name.clone(), options.clone());
        Ok(options)
    }

    fn options_above(&self, name: &str, known: &mut HashMap<String, Options>) -> Result<Options, Error> {
        match self.pool().dataset(name) {
            Ok(info) => self.options_of(&info, known),
            // Renamed or destroyed meanwhile, and what is below with it: that verb will set this right.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Options { access: Arc::default(), from: None }),
            Err(error) => Err(error),
        }
    }
}

fn own_options(info: &DatasetInfo, text: &str) -> Access {
    text.parse().unwrap_or_else(|problem: String| {
        let dataset = info.name.as_str();
        tracing::warn!(
            dataset,
            problem,
            "cannot read who may mount it, so nobody may: 'cowctl share set' says it anew"
        );
        Access::default()
    })
}

/// Whether a dataset is that one, or below it.
pub fn is_at_or_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_be_read_admit_nobody() {
        let info = DatasetInfo {
            id: DatasetId(1),
            name: "a".to_owned(),
            properties: Default::default(),
            origin: None,
            created: Default::default(),
            referenced: 0,
            destroyed: None,
        };
        assert_eq!(own_options(&info, "10.0.0.0/8 rw").rules.len(), 1);
        for text in ["", "10.0.0.0/8 of_tomorrow", "10.0.0.0/8 rw\u{0}", "0.0.0.0/0 rw, later=1"] {
            assert!(own_options(&info, text).rules.is_empty(), "{text}");
        }
    }
}
