//! Locks of bytes of files: listed, and taken from clients that are gone.

use std::collections::BTreeMap;

use cow_api::v1::{self, Code, LockKind, Problem, ReleasedLocks};
use cow_storage::format::DatasetId;

use crate::locks::{Client, Kind, Listed};
use crate::service::problem::problem;
use crate::service::{Answer, Service};

/// Locks in one answer.
const LISTED_MAX: usize = 10_000;

impl Service {
    /// All locks, or those of a dataset and its snapshots.
    pub fn locks(&self, dataset: Option<&str>) -> Answer<v1::Locks> {
        let dataset = dataset.map(|name| self.pool().dataset(name).map_err(problem)).transpose()?;
        let table = &self.parts.locks;
        let listed = table.list(dataset.map(|info| info.id));
        let mut names = BTreeMap::new();
        let locks = listed.iter().take(LISTED_MAX).map(|lock| self.shown_lock(lock, &mut names)).collect();
        let awaited = table.grace().unwrap_or_default().iter().map(Client::to_string).collect();
        Ok(v1::Locks { locks, more: listed.len().saturating_sub(LISTED_MAX) as u64, awaited })
    }

    /// Takes all locks of the clients of an address or a name, and waits for them no more.
    pub fn release_locks(&self, client: &str) -> Answer<ReleasedLocks> {
        let table = &self.parts.locks;
        let mut clients: Vec<Client> = table.clients().into_iter().map(|of| (*of.client).clone()).collect();
        clients.extend(table.grace().unwrap_or_default());
        clients.retain(|of| of.name == client || of.address.is_some_and(|address| address.to_string() == client));
        clients.sort();
        clients.dedup();
        if clients.is_empty() {
            let problem = Problem::new(Code::NotFound, format!("no client {client} has locks"));
            return Err(problem.with_hint("'cowctl lock list' shows the clients that do"));
        }
        let release = |of: &Client| match self.front.get() {
            Some(front) => front.release_locks(of),
            None => table.release_client(of),
        };
        let released = clients.iter().map(release).sum::<usize>() as u64;
        Ok(ReleasedLocks { clients: clients.iter().map(Client::to_string).collect(), released })
    }

    fn shown_lock(&self, lock: &Listed, names: &mut BTreeMap<DatasetId, String>) -> v1::Lock {
        let claim = &lock.claim;
        let client = &claim.owner.client;
        let name_of = || {
            let share = self.parts.shares.by_dataset(claim.file.dataset);
            share.map_or_else(String::new, |share| share.dataset_name.clone())
        };
        v1::Lock {
            dataset: names.entry(claim.file.dataset).or_insert_with(name_of).clone(),
            snapshot: claim.file.snapshot.map(|snapshot| snapshot.0),
            inode: claim.file.inode.0,
            client: client.address.map_or_else(|| "local".to_owned(), |address| address.to_string()),
            name: client.name.clone(),
            process: claim.process,
            kind: match claim.kind {
                Kind::Shared => LockKind::Shared,
                Kind::Exclusive => LockKind::Exclusive,
            },
            offset: claim.range.first(),
            length: Some(claim.range.length()).filter(|&length| length > 0),
            waiting: lock.is_waiting,
        }
    }
}
