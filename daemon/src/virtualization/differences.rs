//! Where the state, the pool and this host do not agree: what can be mended is mended, the rest are faults that say what
//! to do.
//!
//! Invariant: what no row knows is never destroyed; and a fault lasts no longer than what it tells of, as it is looked
//! for again as long as there is one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use cow_api::v1::{Code, Problem};

use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::journal;
use crate::virtualization::records::{Fault, Point, Source, Timeflow};
use crate::virtualization::work::Occupied;

/// Before the name of what such a fault is told of.
const SUBJECTS: [&str; 4] = [DATASET, SNAPSHOT, SHARE, MOUNT];
const DATASET: &str = "dataset ";
const SNAPSHOT: &str = "snapshot ";
const SHARE: &str = "share of ";
const MOUNT: &str = "mount at ";
/// What holds the datasets of all sources.
const TOPS: [&str; 2] = ["dsource", "vdb"];

/// What is wrong, by the subject of its fault.
type Differences = BTreeMap<String, Problem>;

/// What is stored, and then what is remembered: what was made in between is not missed.
struct Compared {
    datasets: BTreeSet<String>,
    snapshots: HashSet<String>,
    shared: BTreeSet<String>,
    /// What jobs are to destroy.
    doomed: Vec<String>,
    busy: BTreeSet<u64>,
    sources: Vec<Row<Source>>,
    flows: Vec<Row<Timeflow>>,
    points: Vec<Row<Point>>,
}

impl Compared {
    fn source(&self, flow: &Timeflow) -> Option<&Row<Source>> {
        self.sources.iter().find(|row| row.id == flow.source)
    }
}

fn is_difference(row: &Row<Fault>) -> bool {
    SUBJECTS.iter().any(|word| row.record.subject.starts_with(word))
}

impl Virtualization {
    /// Compares again while the last time found anything.
    pub(super) fn compare_again(self: &Arc<Self>) -> Answer<()> {
        let is_needed = self.state.read(|view| view.all::<Fault>())?.iter().any(is_difference);
        if is_needed { self.compare() } else { Ok(()) }
    }

    /// Compares what is remembered with what is stored, shared, and mounted on this host.
    pub(super) fn compare(self: &Arc<Self>) -> Answer<()> {
        let compared = self.compared()?;
        let mut found = Differences::new();
        self.find_missing(&compared, &mut found)?;
        self.find_strays(&compared, &mut found)?;
        self.find_shares(&compared, &mut found)?;
        self.find_left_mounts(&mut found)?;
        for row in self.state.read(|view| view.all::<Fault>())?.iter().filter(|row| is_difference(row)) {
            if !found.contains_key(&row.record.subject) {
                self.mend(&row.record.subject)?;
            }
        }
        found.iter().try_for_each(|(subject, problem)| self.fault(subject, problem))
    }

    fn compared(&self) -> Answer<Compared> {
        let mut datasets = BTreeSet::new();
        for top in TOPS {
            datasets.extend(self.store.below(top)?);
        }
        let snapshots = self.store.snapshots()?.into_iter().map(|(name, _)| name).collect();
        let shared = self.store.shared()?.into_iter().collect();
        let (busy, doomed) = (self.busy.lock().clone(), journal::doomed(&self.state)?);
        let (sources, flows, points) =
            self.state.read(|view| Ok((view.all::<Source>()?, view.all::<Timeflow>()?, view.all::<Point>()?)))?;
        Ok(Compared { datasets, snapshots, shared, doomed, busy, sources, flows, points })
    }

    /// Timeflows without their datasets, and snapshots that only the state knows.
    fn find_missing(&self, compared: &Compared, found: &mut Differences) -> Answer<()> {
        let mut missing = HashSet::new();
        for Row { id, record: flow } in
            compared.flows.iter().filter(|row| !compared.datasets.contains(&row.record.dataset))
        {
            // Stored or forgotten by now, it is not missing; it is forgotten before it is destroyed.
            if self.store.exists(&flow.dataset)? || self.state.read(|view| view.get::<Timeflow>(*id)).is_err() {
                continue;
            }
            missing.insert(*id);
            let whose = compared.source(flow).map_or_else(|| "a source".to_owned(), |row| row.record.describe());
            let problem = Problem::new(Code::NotFound, format!("{} is gone, and {whose} needs it", flow.dataset));
            let hint = "'cowctl undelete' may bring it back; else delete the source";
            found.insert(format!("{DATASET}{}", flow.dataset), problem.with_hint(hint));
        }
        for Row { id, record: point } in
            compared.points.iter().filter(|row| !compared.snapshots.contains(&row.record.name))
        {
            // Of a dataset that is missing as a whole that is told.
            if missing.contains(&point.timeflow)
                || self.store.exists(&point.name)?
                || self.state.read(|view| view.get::<Point>(*id)).is_err()
            {
                continue;
            }
            let problem = Problem::new(Code::NotFound, format!("{} is gone: nothing can be made of it", point.name));
            let hint = "'cowctl undelete' may bring it back; else a policy of retention forgets it";
            found.insert(format!("{SNAPSHOT}{}", point.name), problem.with_hint(hint));
        }
        Ok(())
    }

    /// Datasets where those of sources are, of which no row knows. They may be all that is left of something: they stay.
    fn find_strays(&self, compared: &Compared, found: &mut Differences) -> Answer<()> {
        for dataset in &compared.datasets {
            let Some((stray, why)) = compared.stray(dataset) else { continue };
            if !compared.is_doomed(stray) && self.store.exists(stray)? {
                let hint = format!(
                    "'cowctl destroy -r {stray}' destroys it; to keep it, give it another name: 'cowctl rename {stray} NAME'"
                );
                found.insert(format!("{DATASET}{stray}"), Problem::new(Code::Conflict, why).with_hint(hint));
            }
        }
        Ok(())
    }

    /// Takes back shares that no host needs; that one is missing is told.
    fn find_shares(self: &Arc<Self>, compared: &Compared, found: &mut Differences) -> Answer<()> {
        for Row { id, record: flow } in &compared.flows {
            let Some(row) = compared.source(flow) else { continue };
            let is_shared = compared.shared.contains(&flow.dataset);
            if is_shared == is_in_use(&row.record, *id) || !compared.datasets.contains(&flow.dataset) {
                continue;
            }
            // A job shares as it needs: the next comparison sees what came of it.
            let Ok(occupied) = self.occupy(row) else { continue };
            let Ok(source) = occupied.row().map(|row| row.record) else { continue };
            let is_needed = is_in_use(&source, *id);
            if is_shared && !is_needed {
                tracing::warn!(dataset = flow.dataset, "took back a share of what no host is to mount any more");
                self.store.share(&flow.dataset, &[], true)?;
            } else if !is_shared && is_needed && !source.mounts.is_empty() {
                let (verb, name) = (if source.is_virtual() { "vdb" } else { "source" }, &source.name);
                let detail = format!("{} is shared with nobody, but {} is mounted", flow.dataset, source.describe());
                let hint =
                    format!("'cowctl {verb} disable {name}' and then 'cowctl {verb} enable {name}' shares it again");
                found.insert(format!("{SHARE}{}", flow.dataset), Problem::new(Code::Conflict, detail).with_hint(hint));
            }
        }
        Ok(())
    }

    /// Unmounts what copies left on this host; what cannot be is told.
    fn find_left_mounts(self: &Arc<Self>, found: &mut Differences) -> Answer<()> {
        for path in self.store.left_here(&self.scratch)? {
            let Some(_unused) = self.unused(&path) else { continue };
            tracing::warn!(path = %path.display(), "unmounts what an earlier copy left on this host");
            let outcome = self.store.unmount_here(&path);
            let why = match outcome {
                Ok(()) if !self.store.left_here(&self.scratch)?.contains(&path) => continue,
                Ok(()) => "something else is there".to_owned(),
                Err(problem) => problem.detail,
            };
            let detail = format!("{} is left of a copy on cowd's host and cannot be taken away: {why}", path.display());
            let hint =
                format!("'umount -l {0}' and 'rmdir {0}' take it away; do not remove what is in it", path.display());
            found.insert(format!("{MOUNT}{}", path.display()), Problem::new(Code::Conflict, detail).with_hint(hint));
        }
        Ok(())
    }

    /// Whether no job copies through a mount; none begins to while what is returned is kept.
    fn unused(self: &Arc<Self>, path: &Path) -> Option<Option<Occupied>> {
        let name = path.file_name()?.to_str()?;
        if let Some(job) = name.strip_prefix("physical-").and_then(|id| id.parse().ok()) {
            let runs = self.jobs.get(job).is_ok_and(|job| !job.progress.state.has_ended());
            return (!runs).then_some(None);
        }
        let source = name.strip_prefix("sync-").and_then(|id| id.parse().ok());
        match source.and_then(|id| self.state.read(|view| view.get::<Source>(id)).ok()) {
            Some(row) => self.occupy(&row).ok().map(Some),
            None => Some(None),
        }
    }
}

impl Compared {
    /// The stray that a dataset is or belongs to, and why it is one.
    fn stray<'d>(&self, dataset: &'d str) -> Option<(&'d str, String)> {
        let mut ends = dataset.match_indices('/').map(|(at, _)| at).chain([dataset.len()]).skip(1);
        let folder = &dataset[..ends.next()?];
        let Some(row) = self.sources.iter().find(|row| row.record.folder() == folder) else {
            return Some((folder, format!("no dSource or VDB is known to which {folder} belongs")));
        };
        let timeflow = &dataset[..ends.next()?];
        // Users may have clones of their own beside timeflows.
        let is_numbered = timeflow[folder.len() + 1..].bytes().all(|byte| byte.is_ascii_digit());
        let is_known = self.flows.iter().any(|flow| flow.record.dataset == timeflow);
        let is_stray = is_numbered && !is_known && !self.busy.contains(&row.id);
        is_stray.then(|| (timeflow, format!("{timeflow} is no timeflow of {}", row.record.describe())))
    }

    fn is_doomed(&self, dataset: &str) -> bool {
        self.doomed
            .iter()
            .any(|name| dataset == name || dataset.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Whether hosts may mount a timeflow.
fn is_in_use(source: &Source, timeflow: u64) -> bool {
    source.is_enabled && source.timeflow == Some(timeflow)
}
