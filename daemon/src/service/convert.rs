//! From the engine's types to the API's, and back.

use std::collections::{BTreeMap, HashMap};

use cow_api::v1;
use cow_storage::catalog::{Compression, DatasetInfo, Properties, PropertyChange, SnapshotInfo, SyncMode};
use cow_storage::format::{DatasetId, SnapshotId};
use cow_storage::pool::{Backlog, Counters, Listing, PoolSpace, VerifyReport};

use crate::clock;
use crate::damage::shown_damage;
use crate::service::sharing::RESERVED;
use crate::service::{Answer, Service};

/// Names of datasets and full names of snapshots, by id.
#[derive(Default)]
pub struct Names {
    datasets: HashMap<DatasetId, String>,
    snapshots: HashMap<SnapshotId, String>,
}

impl Names {
    /// The names in a listing. Snapshots of datasets that are not in it have none.
    pub fn of(listing: &Listing) -> Self {
        let mut names = Self::default();
        names.add(listing);
        names
    }

    /// Adds the names of another listing; names that are there already count more.
    pub fn add(&mut self, listing: &Listing) {
        for dataset in &listing.datasets {
            self.datasets.entry(dataset.id).or_insert_with(|| dataset.name.clone());
        }
        for snapshot in &listing.snapshots {
            if let Some(dataset) = self.datasets.get(&snapshot.dataset) {
                self.snapshots.entry(snapshot.id).or_insert_with(|| format!("{dataset}@{}", snapshot.name));
            }
        }
    }

    fn origin(&self, id: SnapshotId) -> v1::Origin {
        v1::Origin { id: id.0, name: self.snapshots.get(&id).cloned() }
    }

    /// A snapshot, with the name of its dataset.
    pub fn snapshot(&self, info: &SnapshotInfo) -> v1::Snapshot {
        let dataset = self.datasets.get(&info.dataset).map_or("", String::as_str);
        shown_snapshot(dataset, info, info.parent.map(|id| self.origin(id)))
    }
}

fn shown_snapshot(dataset: &str, info: &SnapshotInfo, parent: Option<v1::Origin>) -> v1::Snapshot {
    v1::Snapshot {
        id: info.id.0,
        name: format!("{dataset}@{}", info.name),
        dataset: dataset.to_owned(),
        created: clock::time(info.created),
        commit: info.birth.0,
        root_hash: info.root_hash.0.iter().map(|byte| format!("{byte:02x}")).collect(),
        parent,
        referenced: info.referenced,
        exclusive: None,
        holds: info.holds.clone(),
        automatic: info.automatic,
        destroyed: info.destroyed.map(clock::time),
    }
}

impl Service {
    /// A dataset of a listing, with the path of its share.
    pub(super) fn listed_dataset(&self, names: &Names, info: &DatasetInfo) -> v1::Dataset {
        self.dataset_with(info, info.origin.map(|id| names.origin(id)))
    }

    /// One dataset. No listing is made for the name of its origin, which would cost more than most verbs.
    pub(super) fn shown_dataset(&self, info: &DatasetInfo) -> v1::Dataset {
        self.dataset_with(info, info.origin.map(|id| self.origin(id)))
    }

    /// One snapshot of a dataset of that name.
    pub(super) fn shown_snapshot(&self, dataset: &str, info: &SnapshotInfo) -> v1::Snapshot {
        shown_snapshot(dataset, info, info.parent.map(|id| self.origin(id)))
    }

    fn origin(&self, id: SnapshotId) -> v1::Origin {
        v1::Origin { id: id.0, name: self.pool().snapshot_name(id).ok() }
    }

    fn dataset_with(&self, info: &DatasetInfo, origin: Option<v1::Origin>) -> v1::Dataset {
        v1::Dataset {
            id: info.id.0,
            name: info.name.clone(),
            properties: shown_properties(&info.properties),
            origin,
            created: clock::time(info.created),
            referenced: info.referenced,
            exclusive: None,
            share: self.path_of_share(info.id),
            destroyed: info.destroyed.map(clock::time),
        }
    }

    /// Where clients find a dataset, unless nobody may mount it.
    fn path_of_share(&self, dataset: DatasetId) -> Option<String> {
        let share = self.parts.shares.by_dataset(dataset)?;
        (!share.access.rules.is_empty()).then(|| share.path.clone())
    }

    /// Everything that is not destroyed.
    pub(super) fn listing(&self) -> Answer<Listing> {
        self.pool().list().map_err(crate::service::problem::problem)
    }
}

fn shown_properties(properties: &Properties) -> v1::Properties {
    v1::Properties {
        block_size: properties.block_size.into(),
        extent_size: properties.extent_size.into(),
        compression: match properties.compression {
            Compression::Off => v1::Compression::Off,
            Compression::Zstd(level) => v1::Compression::Zstd(level),
        },
        sync: match properties.sync {
            SyncMode::Standard => v1::SyncMode::Standard,
            SyncMode::Disabled => v1::SyncMode::Disabled,
        },
        dedup: properties.dedup,
        quota: properties.quota,
        readonly: properties.readonly,
        user: users_own(&properties.user),
    }
}

/// Without what the daemon keeps among them.
fn users_own(user: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = user.iter().filter(|(name, _)| !name.starts_with(RESERVED));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A change as the engine takes it. The block size is not among what can change.
pub fn property_change(change: &v1::PropertyChange) -> Answer<PropertyChange> {
    if let Some(name) = change.user.keys().find(|name| name.starts_with(RESERVED)) {
        let detail = format!("cannot set {name}: names that begin with {RESERVED} are the daemon's own");
        let problem = v1::Problem::new(v1::Code::InvalidRequest, detail);
        return Err(problem.with_hint("'cowctl share set DATASET' says who may mount a dataset"));
    }
    Ok(PropertyChange {
        extent_size: change.extent_size.map(|size| small("extentsize", size)).transpose()?,
        compression: change.compression.map(|compression| match compression {
            v1::Compression::Off => Compression::Off,
            v1::Compression::Zstd(level) => Compression::Zstd(level),
        }),
        sync: change.sync.map(|sync| match sync {
            v1::SyncMode::Standard => SyncMode::Standard,
            v1::SyncMode::Disabled => SyncMode::Disabled,
        }),
        dedup: change.dedup,
        quota: change.quota,
        readonly: change.readonly,
        user: change.user.clone(),
    })
}

/// The properties of a dataset that is made.
pub fn new_properties(profile: v1::Profile, change: &v1::PropertyChange) -> Answer<Properties> {
    let (block_size, extent_size) = profile.sizes();
    let PropertyChange { compression, sync, dedup, quota, readonly, user, .. } = property_change(change)?;
    let block_size = change.block_size.unwrap_or(block_size);
    // An extent holds whole blocks: larger ones than the profile's bring larger extents along.
    let extent_size = change.extent_size.unwrap_or(extent_size.max(block_size));
    let default = Properties::default();
    Ok(Properties {
        block_size: small("blocksize", block_size)?,
        extent_size: small("extentsize", extent_size)?,
        compression: compression.unwrap_or(default.compression),
        sync: sync.unwrap_or(default.sync),
        dedup: dedup.unwrap_or(default.dedup),
        quota: quota.unwrap_or(default.quota),
        readonly: readonly.unwrap_or(default.readonly),
        user: user.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
    })
}

fn small(name: &str, size: u64) -> Answer<u32> {
    let problem = || v1::Problem::new(v1::Code::InvalidRequest, format!("{size} bytes are too many for {name}"));
    u32::try_from(size).map_err(|_| problem())
}

/// The pool's space.
pub fn shown_space(space: &PoolSpace) -> v1::PoolSpace {
    let ratio = if space.live == 0 { 0.0 } else { space.logical as f64 / space.live as f64 };
    let PoolSpace { live, stored, free, logical, awaiting } = *space;
    v1::PoolSpace { logical, live, stored, free, awaiting, ratio }
}

/// What the pool has to do yet.
pub fn shown_backlog(backlog: &Backlog) -> v1::Backlog {
    let Backlog { reclaims, hidden, changes, sparse } = *backlog;
    v1::Backlog { reclaims, hidden, changes, sparse_bytes: sparse }
}

/// What the pool has done.
pub fn shown_counters(counters: &Counters) -> v1::Counters {
    v1::Counters {
        commits: counters.commits,
        log_flushes: counters.log_flushes,
        log_bytes: counters.log_bytes,
        segment_bytes: counters.segment_bytes,
        written_bytes: counters.written_bytes,
        read_bytes: counters.read_bytes,
        deduplicated_bytes: counters.deduplicated_bytes,
        block_hits: counters.block_hits,
        block_misses: counters.block_misses,
        node_hits: counters.node_hits,
        node_misses: counters.node_misses,
    }
}

/// What a verification found.
pub fn shown_report(report: VerifyReport) -> v1::VerifyReport {
    let damage = report.damage.iter().map(shown_damage).collect();
    v1::VerifyReport { objects: report.objects, bytes: report.bytes, damage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_dataset_has_what_its_profile_and_its_properties_say() {
        let mut change = v1::PropertyChange::default();
        let sizes = |profile, change: &v1::PropertyChange| {
            let properties = new_properties(profile, change).unwrap();
            (properties.block_size >> 10, properties.extent_size >> 10)
        };
        assert_eq!(new_properties(v1::Profile::Default, &change).unwrap(), Properties::default());
        assert_eq!(sizes(v1::Profile::Postgres, &change), (8, 64));
        change.set("blocksize", "64K").unwrap();
        assert_eq!(sizes(v1::Profile::Innodb, &change), (64, 64));
        assert_eq!(sizes(v1::Profile::Tree, &change), (64, 128));
        change.set("extentsize", "128K").unwrap();
        assert_eq!(sizes(v1::Profile::Postgres, &change), (64, 128));
        change.set("blocksize", "8G").unwrap();
        assert_eq!(new_properties(v1::Profile::Tree, &change).unwrap_err().code, v1::Code::InvalidRequest);
    }

    #[test]
    fn what_is_shown_of_properties_can_be_asked_for() {
        let mut change = v1::PropertyChange::default();
        for (name, value) in [("compression", "zstd:7"), ("sync", "disabled"), ("dedup", "off"), ("quota", "1G")] {
            change.set(name, value).unwrap();
        }
        change.set("readonly", "on").unwrap();
        change.set("a:b", "c").unwrap();
        let properties = new_properties(v1::Profile::Innodb, &change).unwrap();
        let shown = shown_properties(&properties);
        let mut again = v1::PropertyChange::default();
        shown.list().iter().for_each(|(name, value)| again.set(name, value).unwrap());
        assert_eq!(new_properties(v1::Profile::Default, &again).unwrap(), properties);
    }
}
