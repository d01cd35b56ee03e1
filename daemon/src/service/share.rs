//! Who may mount what: listed, set, and left to be inherited again.

use std::sync::Arc;

use cow_api::v1::{self, Change, Code, Problem, SetShare};
use cow_storage::catalog::PropertyChange;
use cow_storage::format::DatasetId;

use crate::clock;
use crate::service::problem::problem;
use crate::service::sharing::{PROPERTY, is_at_or_below};
use crate::service::{Answer, Service};
use crate::shares::{Share, describe_rule};

impl Service {
    /// Everything that can be mounted, or what is at or below one name.
    pub fn shares(&self, under: Option<&str>) -> Answer<v1::Shares> {
        let mut shares = self.parts.shares.list();
        if let Some(under) = under {
            shares.retain(|share| is_at_or_below(&share.dataset_name, under));
            if shares.is_empty() {
                return Err(no_dataset(under));
            }
        }
        Ok(v1::Shares { shares: shares.iter().map(|share| self.shown_share(share)).collect() })
    }

    /// The share of one dataset.
    pub fn dataset_share(&self, name: &str) -> Answer<v1::Share> {
        self.found_share(name).map(|share| self.shown_share(&share))
    }

    /// Gives a dataset's share options of its own, which count from the next call of each client on.
    pub fn set_share(&self, name: &str, change: &SetShare) -> Answer<v1::Share> {
        let in_step = self.sharing.lock();
        let before = self.found_share(name)?;
        let access = before.access.changed(change).map_err(|wrong| {
            Problem::new(Code::InvalidRequest, wrong).with_hint("'cowctl help share' shows all that can be said")
        })?;
        self.keep_share(name, Some(access.to_string()))?;
        self.share_family(&in_step, name)?;
        drop(in_step);
        self.tell_share(name, &before)
    }

    /// Takes a share's own options away: those of the nearest dataset above count again, or the configuration's.
    pub fn clear_share(&self, name: &str) -> Answer<v1::Share> {
        let in_step = self.sharing.lock();
        let before = self.found_share(name)?;
        if before.access_from == Some(before.dataset) {
            self.keep_share(name, None)?;
            self.share_family(&in_step, name)?;
        }
        drop(in_step);
        self.tell_share(name, &before)
    }

    /// Who is connected by NFS.
    pub fn clients(&self) -> v1::Clients {
        v1::Clients { clients: self.front.get().map_or_else(Vec::new, |front| front.clients()) }
    }

    /// How many datasets can be mounted.
    pub fn share_count(&self) -> usize {
        self.parts.shares.list().len()
    }

    fn keep_share(&self, name: &str, text: Option<String>) -> Answer<()> {
        let user = [(PROPERTY.to_owned(), text)].into();
        let change = PropertyChange { user, ..PropertyChange::default() };
        self.pool().set_properties(name, &change, clock::now()).map(drop).map_err(problem)
    }

    /// Tells whoever audits what has changed, and the caller what counts now.
    fn tell_share(&self, name: &str, before: &Share) -> Answer<v1::Share> {
        let now = self.dataset_share(name)?;
        let (share, was) = (now.describe(), before.access.to_string());
        let from = now.from.as_deref().unwrap_or("the configuration");
        tracing::info!(dataset = name, share, from, was, "set who may mount it");
        self.dataset_changed(name, Change::Shared);
        Ok(now)
    }

    fn found_share(&self, name: &str) -> Answer<Arc<Share>> {
        let info = self.pool().dataset(name).map_err(problem)?;
        self.parts.shares.by_dataset(info.id).ok_or_else(|| no_dataset(name))
    }

    fn shown_share(&self, share: &Share) -> v1::Share {
        let access = &share.access;
        v1::Share {
            path: share.path.clone(),
            dataset: share.dataset_name.clone(),
            rules: access.rules.iter().map(describe_rule).collect(),
            anonuid: access.anonymous_uid,
            anongid: access.anonymous_gid,
            secure: access.privileged_port,
            from: share.access_from.map(|from| self.name_of_share(from)),
        }
    }

    fn name_of_share(&self, dataset: DatasetId) -> String {
        self.parts.shares.by_dataset(dataset).map_or_else(String::new, |share| share.dataset_name.clone())
    }
}

fn no_dataset(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no dataset {name}")).with_hint("'cowctl list' shows what there is")
}
