//! The instant that separates what is in a commit from what is not.
//!
//! Invariant: a cut holds the gate exclusively, so it falls between changes; and it leaves to others the verbs whose heads it
//! cannot have.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::Holder;
use crate::intent::LogPosition;
use crate::pool::core::{Committed, Core};
use crate::pool::cuts::Cuts;
use crate::pool::head::{Frozen, Head};
use crate::pool::publish::Change;
use crate::sync::Ordering;

/// What a verb does in a commit.
pub type Act = Box<dyn FnOnce(&mut Change<'_>) + Send>;

/// A verb that waits for a commit to be part of.
pub struct Job {
    /// Heads whose changes so far that commit must have.
    pub heads: Vec<Holder>,
    /// What it does.
    pub act: Act,
}

/// What a commit is to have.
pub struct Cut {
    /// Its number among cuts: later than what `last_cut` was before.
    pub ticket: u64,
    /// Whether it has the changes of all heads.
    pub whole: bool,
    /// What they had beyond their roots.
    pub heads: Vec<Frozen>,
    /// Verbs.
    pub jobs: Vec<Act>,
    /// Records from here on are not in it.
    pub log: LogPosition,
    /// Heads of which it has later ones.
    pub cuts: Cuts,
    /// Up to where the log must be durable first: after a crash it must not give the numbers of groups again that `cuts` has.
    pub logged: LogPosition,
}

impl Core {
    /// Takes what all heads have, and perhaps the verbs that wait. No head is being written back.
    pub fn cut_whole(&self, with_jobs: bool) -> Cut {
        let _gate = self.gate.write();
        let ticket = self.next_ticket();
        let jobs = if with_jobs { std::mem::take(&mut *self.jobs.lock()) } else { Vec::new() };
        let mut dirty: Vec<_> = self.dirty_heads.lock().drain().collect();
        dirty.sort_by_key(|(holder, _)| *holder);
        let heads = dirty.iter().filter_map(|(_, head)| head.freeze()).collect();
        let jobs = jobs.into_iter().map(|job| job.act).collect();
        let log = self.log.position();
        Cut { ticket, whole: true, heads, jobs, log, cuts: Cuts::default(), logged: log }
    }

    /// Takes what some heads have, and what those have that waiting verbs are about. The log stays where it is.
    pub fn cut_some(&self, committed: &Committed, heads: &[Holder]) -> Cut {
        let _gate = self.gate.write();
        let ticket = self.next_ticket();
        let mut queue = self.jobs.lock();
        let (jobs, waiting): (Vec<_>, _) = std::mem::take(&mut *queue)
            .into_iter()
            .partition(|job| committed.reserved.is_none() || !self.is_any_frozen(&job.heads));
        *queue = waiting;
        drop(queue);
        let holders: BTreeSet<Holder> = jobs.iter().flat_map(|job| &job.heads).chain(heads).copied().collect();
        let known: Vec<Arc<Head>> = {
            let known = self.heads.lock();
            holders.iter().filter_map(|holder| known.get(holder)).cloned().collect()
        };
        known.iter().for_each(|head| head.note_cut(ticket));
        let mut dirty = self.dirty_heads.lock();
        let taken: Vec<Arc<Head>> = holders.iter().filter_map(|holder| dirty.remove(holder)).collect();
        drop(dirty);
        let (logged, mut cuts) = (self.log.position(), committed.cuts.clone());
        // A sync logs what a commit is writing back as well: after that commit such a record counts, though the head has
        // nothing beyond its root. It must not be applied to what a verb makes of the head now.
        let has_records = |head: &&Arc<Head>| {
            let last = head.last_logged();
            last >= committed.log.sequence() && committed.cuts.lack(head.dataset, last)
        };
        taken.iter().chain(known.iter().filter(has_records)).for_each(|head| cuts.note(head.dataset, &logged));
        let heads = taken.iter().filter_map(Head::freeze).collect();
        let jobs = jobs.into_iter().map(|job| job.act).collect();
        Cut { ticket, whole: false, heads, jobs, log: committed.log, cuts, logged }
    }

    /// Whether the superblock has place for these heads, and for those of the verbs that wait.
    pub fn has_place_for(&self, committed: &Committed, heads: &[Holder]) -> bool {
        let waiting: usize = self.jobs.lock().iter().map(|job| job.heads.len()).sum();
        committed.cuts.take(waiting + heads.len())
    }

    /// Whether one of these heads has something that a commit is writing back.
    pub fn is_any_frozen(&self, heads: &[Holder]) -> bool {
        let known = self.heads.lock();
        heads.iter().filter_map(|holder| known.get(holder)).any(|head| head.is_frozen())
    }

    /// The gate is held exclusively.
    fn next_ticket(&self) -> u64 {
        self.last_cut.fetch_add(1, Ordering::AcqRel) + 1
    }
}
