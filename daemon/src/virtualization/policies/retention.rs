//! What a retention policy does with a source: which snapshots go, and why each other one stays.
//!
//! Invariant: nothing goes that is the newest, bookmarked, held, mounted, or needed by a job; nor does a timeflow that is
//! current, that says where the VDB came from, or that still has a snapshot.

use std::collections::BTreeSet;

use cow_api::v1::Verdict;

use crate::retention;
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::points::origin;
use crate::virtualization::policies::Policy;
use crate::virtualization::records::{BOOKMARK_TAG, Point, Source, Timeflow};

/// What becomes of a source's snapshots.
pub struct Plan {
    /// Each, the newest first, and why it stays.
    verdicts: Vec<(Row<Point>, Vec<String>)>,
    /// Timeflows that are over and have no snapshot left.
    over: Vec<Row<Timeflow>>,
}

impl Plan {
    /// Snapshots that go.
    pub fn going(&self) -> impl Iterator<Item = &Row<Point>> {
        self.verdicts.iter().filter(|(_, why)| why.is_empty()).map(|(point, _)| point)
    }

    /// Timeflows that go.
    pub fn over(&self) -> &[Row<Timeflow>] {
        &self.over
    }

    /// What it does, in one line.
    pub fn describe(&self, source: &str) -> String {
        let (all, gone) = (self.verdicts.len(), self.going().count());
        format!("remove {gone} of {all} snapshots of {source}")
    }

    /// What becomes of each snapshot, the newest first.
    pub fn shown(&self) -> Vec<Verdict> {
        let shown = self.verdicts.iter().map(|(Row { record: point, .. }, why)| Verdict {
            snapshot: point.name.clone(),
            created: point.created,
            kept: why.clone(),
        });
        shown.collect()
    }

    /// The datasets of the timeflows that go.
    pub fn timeflows(&self) -> Vec<String> {
        self.over.iter().map(|flow| flow.record.dataset.clone()).collect()
    }
}

impl Virtualization {
    /// What a policy would do with a source now.
    pub fn plan(&self, row: &Row<Source>, policy: &Policy, needed: &[String]) -> Answer<Plan> {
        let (_, zone) = policy.times()?;
        let (mut points, flows) =
            self.state.read(|view| Ok((view.owned::<Point>(row.id)?, view.owned::<Timeflow>(row.id)?)))?;
        points.sort_by_key(|point| std::cmp::Reverse((point.record.created, point.id)));
        let times: Vec<_> = points.iter().map(|point| point.record.created).collect();
        let of_grid = retention::reasons(&policy.keep, &zone, &times);
        let kept = self.kept(row, &points, needed)?;
        let verdicts: Vec<_> = points
            .into_iter()
            .zip(of_grid)
            .map(|(point, grid)| {
                let others = kept.iter().filter(|(name, _)| *name == point.record.name).map(|(_, why)| why.clone());
                let why = others.chain(grid.into_iter().map(str::to_owned)).collect();
                (point, why)
            })
            .collect();
        let over = self.over(row, &flows, &verdicts)?;
        Ok(Plan { verdicts, over })
    }

    /// What is kept whatever the grid says: snapshots by name, and why.
    fn kept(&self, row: &Row<Source>, newest_first: &[Row<Point>], needed: &[String]) -> Answer<Vec<(String, String)>> {
        let because = |name: &str, why: &str| (name.to_owned(), why.to_owned());
        // What a VDB is put in use by is the newest of its current timeflow.
        let current = newest_first.iter().find(|point| Some(point.record.timeflow) == row.record.timeflow);
        let newest: BTreeSet<&str> =
            newest_first.first().into_iter().chain(current).map(|point| point.record.name.as_str()).collect();
        let mut kept: Vec<_> = newest.into_iter().map(|name| because(name, "newest")).collect();
        kept.extend(self.store.holds()?.into_iter().map(|(name, tag)| match tag.strip_prefix(BOOKMARK_TAG) {
            Some(bookmark) => (name, format!("bookmark {bookmark}")),
            None => (name, format!("held by {tag}")),
        }));
        kept.extend(self.store.mounted_here()?.iter().map(|name| because(name, "mounted on cowd's host")));
        kept.extend(needed.iter().map(|name| because(name, "needed by a job")));
        Ok(kept)
    }

    /// Timeflows that nothing needs once those snapshots are gone.
    fn over(
        &self,
        row: &Row<Source>,
        flows: &[Row<Timeflow>],
        verdicts: &[(Row<Point>, Vec<String>)],
    ) -> Answer<Vec<Row<Timeflow>>> {
        let origin = origin(&row.record, flows).map(|flow| flow.id);
        let stays = |flow: &Row<Timeflow>| {
            let has_point = verdicts.iter().any(|(point, why)| !why.is_empty() && point.record.timeflow == flow.id);
            row.record.timeflow == Some(flow.id) || origin == Some(flow.id) || has_point
        };
        let goes: BTreeSet<&str> = verdicts.iter().map(|(point, _)| point.record.name.as_str()).collect();
        let candidates: Vec<&Row<Timeflow>> = flows.iter().filter(|flow| !stays(flow)).collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        // Snapshots that somebody else took there, and mounts, are not ours to end.
        let (stored, mounted) = (self.store.snapshots()?, self.store.mounted_here()?);
        let is_others = |flow: &Row<Timeflow>| -> Answer<bool> {
            let within = format!("{}@", flow.record.dataset);
            let has_other = stored.iter().any(|(name, _)| name.starts_with(&within) && !goes.contains(name.as_str()));
            let is_mounted = mounted.iter().any(|name| *name == flow.record.dataset || name.starts_with(&within));
            Ok(has_other || is_mounted || self.store.below(&flow.record.dataset)?.len() > 1)
        };
        let mut over = Vec::new();
        for flow in candidates {
            if !is_others(flow)? {
                over.push(flow.clone());
            }
        }
        Ok(over)
    }
}
