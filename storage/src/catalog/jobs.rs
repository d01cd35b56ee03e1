//! Purging, and what has to be done for it.
//!
//! Invariant: one job at a time is under way, and what it has done is stored with the same commit as what it
//! freed. A hidden holder gets no new child, so it stays at most until all but one are gone; meanwhile it is sifted.

use crate::catalog::forest::Fate;
use crate::catalog::{Catalog, Holder, List, Sift, Turn};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, SnapshotId, Timestamp};
use crate::tree::{Dead, Key, Root};

/// A holder whose reclaiming has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) struct Job {
    pub holder: Holder,
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum Phase {
    /// It has no children: what was born on its edge is freed, from this key of its tree on.
    Walk(Key),
    /// All of that is freed, and its dead list goes.
    Forget,
    /// It has one child, and that one's list is sorted out. How far is told by the list.
    Merge,
    /// It has several children, and their lists give up what stands in all of them.
    Sift(Sift),
}

/// What is to be done next for a destroyed holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Free what `root` reaches and was born after `after`, from a key on; then tell [`Catalog::walked`].
    Walk { root: Root, after: Birth, from: Key },
    /// Drop the chunks of a list; tell [`Catalog::forgotten`].
    Forget { list: List },
    /// Of the entries of the only child's list, free those born after `after`, and hand the others to [`Catalog::merged`], which
    /// appends them to the list `to`.
    Merge { child: Holder, list: List, after: Birth, to: List },
    /// Go on with the sifting under way.
    Sift(Turn),
}

impl Catalog {
    /// Hides what was destroyed before a moment, longest destroyed first, so that it will be reclaimed. It cannot be undeleted
    /// any more. Returns how many datasets and snapshots that were.
    pub fn purge(&mut self, before: Timestamp) -> u64 {
        let mut purged = 0;
        while let Some(&(since, holder)) = self.index.awaiting.first()
            && since < before
        {
            match holder {
                Holder::Head(id) => self.hide_dataset(id),
                Holder::Snapshot(id) => self.hide_snapshot(id),
            }
            purged += 1;
        }
        purged
    }

    /// Since when what was destroyed first waits to be undeleted or purged.
    pub fn oldest_destroyed(&self) -> Option<Timestamp> {
        self.index.awaiting.first().map(|(since, _)| *since)
    }

    fn hide_dataset(&mut self, id: DatasetId) {
        let snapshots: Vec<SnapshotId> = self.timeline(id).collect();
        snapshots.into_iter().for_each(|snapshot| self.hide_snapshot(snapshot));
        let Some(dataset) = self.datasets.get_mut(&id) else { return };
        if let Fate::Destroyed(since) = std::mem::replace(&mut dataset.fate, Fate::Purged) {
            self.index.awaiting.remove(&(since, Holder::Head(id)));
        }
        self.edits.touch(Holder::Head(id));
        self.review(Holder::Head(id));
    }

    fn hide_snapshot(&mut self, id: SnapshotId) {
        let Some(snapshot) = self.snapshots.get_mut(&id) else { return };
        match std::mem::replace(&mut snapshot.fate, Fate::Purged) {
            Fate::Live => _ = self.index.snapshots.remove(&(snapshot.dataset, snapshot.name.clone())),
            Fate::Destroyed(since) => _ = self.index.awaiting.remove(&(since, Holder::Snapshot(id))),
            Fate::Purged => return,
        }
        self.edits.touch(Holder::Snapshot(id));
        self.review(Holder::Snapshot(id));
    }

    /// Whether something waits to be reclaimed.
    pub fn has_jobs(&self) -> bool {
        self.first_job().is_some() || !self.index.sifts.is_empty()
    }

    /// How many destroyed datasets and snapshots are to be reclaimed or sifted, and how many stay hidden until those who share with
    /// them are gone.
    pub fn backlog(&self) -> (u64, u64) {
        let index = &self.index;
        let due = index.leaves.len() + index.merges.len() + index.sifts.len() + usize::from(self.job.is_some());
        let hidden = self.forest().into_iter().filter(|holder| self.is_purged(*holder)).count();
        (due as u64, hidden.saturating_sub(due) as u64)
    }

    /// Who is reclaimed now, or next.
    pub(crate) fn due_holders(&self) -> impl Iterator<Item = Holder> + '_ {
        let merges = self.index.merges.iter().map(|(_, id)| Holder::Snapshot(*id));
        self.job.iter().map(|job| job.holder).chain(self.index.leaves.iter().copied()).chain(merges)
    }

    /// What is to be done next, if anything. Of what [`Self::next_sift`] names the lists must be looked through before.
    pub(crate) fn next_job(&self) -> Result<Option<Task>> {
        let Some(Job { holder, phase }) = self.first_job() else { return Ok(None) };
        let edge = self.edge(holder)?;
        let after = self.birth(edge.parent);
        Ok(Some(match phase {
            Phase::Walk(from) => Task::Walk { root: edge.state.root, after, from },
            Phase::Forget => Task::Forget { list: edge.list },
            Phase::Merge => {
                let child = self.only_child(holder)?;
                Task::Merge { child, list: self.list(child)?, after, to: edge.list }
            }
            Phase::Sift(sift) => Task::Sift(self.turn(holder, sift)?),
        }))
    }

    /// The task of the job that has begun, if one has, and whose.
    pub(crate) fn begun_job(&self) -> Result<Option<(Holder, Task)>> {
        let Some(job) = self.job else { return Ok(None) };
        Ok(self.next_job()?.map(|task| (job.holder, task)))
    }

    /// A walk has freed all before `from`; all there is, if that is none.
    pub(crate) fn walked(&mut self, from: Option<Key>) -> Result<()> {
        let Job { holder, phase } = self.begin()?;
        assert!(matches!(phase, Phase::Walk(_)));
        self.job = Some(Job { holder, phase: from.map_or(Phase::Forget, Phase::Walk) });
        if from.is_none() && self.list(holder)?.is_empty() {
            self.remove_leaf(holder)?;
        }
        Ok(())
    }

    /// Drops the first chunks of the list of a holder that is otherwise reclaimed.
    pub(crate) fn forgotten(&mut self, chunks: u64) -> Result<()> {
        let Job { holder, phase } = self.begin()?;
        assert!(phase == Phase::Forget);
        if self.take_chunks(holder, chunks)? {
            self.remove_leaf(holder)?;
        }
        Ok(())
    }

    /// Takes the first chunks off the child's list: all entries of them but `kept` are freed.
    pub(crate) fn merged(&mut self, chunks: u64, kept: Vec<Dead>) -> Result<()> {
        let Job { holder, phase } = self.begin()?;
        assert!(phase == Phase::Merge);
        let child = self.only_child(holder)?;
        self.append(holder, kept)?;
        match self.take_chunks(child, chunks)? {
            true => self.end_merge(holder, child),
            false => Ok(()),
        }
    }

    /// The next chunk of the list that the job sorts out, or drops, cannot be read: the job goes on behind it. What is in it
    /// is never freed.
    pub(crate) fn passed_damage(&mut self) -> Result<()> {
        let Job { holder, phase } = self.begin()?;
        match phase {
            Phase::Forget if self.pass_chunk(holder)? => self.remove_leaf(holder),
            Phase::Merge => {
                let child = self.only_child(holder)?;
                if self.pass_chunk(child)? { self.end_merge(holder, child) } else { Ok(()) }
            }
            Phase::Sift(sift) => self.pass_chunk_in_turn(holder, sift),
            Phase::Forget | Phase::Walk(_) => Ok(()),
        }
    }

    /// All of the child's list is sorted out.
    fn end_merge(&mut self, holder: Holder, child: Holder) -> Result<()> {
        let edge = self.edge(holder)?;
        let (list, parent) = (edge.list, edge.parent);
        self.remove(holder)?;
        self.change_edge(child, |edge| (edge.parent, edge.list) = (parent, list))?;
        self.review(child);
        Ok(())
    }

    fn only_child(&self, holder: Holder) -> Result<Holder> {
        let Holder::Snapshot(id) = holder else { return Err(ErrorKind::NotFound.into()) };
        let child = self.children(id).next();
        child.ok_or_else(|| Error::new(ErrorKind::NotFound, "a hidden snapshot has lost its only child"))
    }

    fn first_job(&self) -> Option<Job> {
        let leaf = || self.index.leaves.first().map(|holder| Job { holder: *holder, phase: Phase::Walk(Key::MIN) });
        let merge = || {
            let first = self.index.merges.first();
            first.map(|(_, id)| Job { holder: Holder::Snapshot(*id), phase: Phase::Merge })
        };
        self.job.or_else(leaf).or_else(merge)
    }

    /// From now on this job is the one under way.
    fn begin(&mut self) -> Result<Job> {
        let job = self.first_job().ok_or_else(|| Error::new(ErrorKind::Invalid, "nothing is to be reclaimed"))?;
        self.index.leaves.remove(&job.holder);
        if let Holder::Snapshot(id) = job.holder {
            let birth = self.birth(Some(id));
            self.index.merges.remove(&(birth, id));
        }
        self.job = Some(job);
        self.edits.touch_job();
        Ok(job)
    }

    fn remove_leaf(&mut self, holder: Holder) -> Result<()> {
        let edge = self.edge(holder)?;
        let (parent, list) = (edge.parent, edge.list);
        self.remove(holder)?;
        if let Some(parent) = parent {
            self.lost_child(parent, list);
            self.review(Holder::Snapshot(parent));
        }
        Ok(())
    }

    /// Takes a reclaimed holder out of the forest, and with the last one its dataset.
    fn remove(&mut self, holder: Holder) -> Result<()> {
        self.adopt(holder, None)?;
        self.job = None;
        let dataset = match holder {
            Holder::Head(id) => {
                if let Some(dataset) = self.datasets.get_mut(&id) {
                    dataset.head = None;
                }
                id
            }
            Holder::Snapshot(id) => {
                let dataset = self.dataset_of(holder)?;
                self.snapshots.remove(&id);
                self.index.timelines.remove(&(dataset, id));
                dataset
            }
        };
        self.remove_if_empty(dataset);
        Ok(())
    }

    fn remove_if_empty(&mut self, id: DatasetId) {
        let is_empty = self.datasets.get(&id).is_some_and(|dataset| dataset.head.is_none());
        if is_empty && self.timeline(id).next().is_none() {
            let dataset = self.datasets.remove(&id);
            if dataset.is_some_and(|dataset| !dataset.properties.user.is_empty()) {
                self.edits.touch_user_properties(id);
            }
            self.edits.touch(Holder::Head(id));
        }
    }
}
