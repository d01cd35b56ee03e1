//! The forest as it would be if some holders were destroyed.
//!
//! Invariant: [`Plan::settle`] follows the rules of the jobs, in an order that reads no list twice. What it tells does not
//! depend on the order: whoever is destroyed and has fewer than two children left is gone, and of whoever has more goes what all
//! of these have lost. Only what differs from the catalog is kept, so a plan costs what is destroyed, and not the forest.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Holder, List, Stage, Task, Turn};
use crate::error::Result;
use crate::format::{Birth, DatasetId, SnapshotId};
use crate::tree::Root;

/// Pointers that would be freed.
#[derive(Clone, Copy, Debug)]
pub enum Freed {
    /// What a tree reaches and was born after.
    Tree { root: Root, after: Birth },
    /// Entries of a list born after one commit.
    Entries { part: Part, after: Birth },
}

/// A part of a dead list that was put together: entries born no later than this.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub list: List,
    pub until: Birth,
    /// Whether they are to be left out: so often as they stand here.
    pub is_left_out: bool,
}

/// The forest.
#[derive(Clone)]
pub struct Plan<'a> {
    catalog: &'a Catalog,
    /// Parents that differ; none at all of who is gone.
    parents: BTreeMap<Holder, Option<Option<SnapshotId>>>,
    /// Children that differ: whether they are children now.
    children: BTreeMap<(SnapshotId, Holder), bool>,
    lists: BTreeMap<Holder, Vec<Part>>,
    /// Who is destroyed beyond those who are purged.
    doomed: BTreeSet<Holder>,
    /// Who may have become due.
    review: BTreeSet<Holder>,
    /// Whose children, or their lists, or whose parent are not the catalog's.
    changed: BTreeSet<SnapshotId>,
    /// Of these, who were changed by what was doomed.
    touched: BTreeSet<SnapshotId>,
}

impl<'a> Plan<'a> {
    /// The forest as it will be once all present jobs are done.
    pub fn new(catalog: &'a Catalog) -> Result<Self> {
        let (parents, children, lists) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (doomed, changed, touched) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let review = catalog.due_holders().collect();
        let mut plan = Self { catalog, parents, children, lists, doomed, review, changed, touched };
        if let Some((Holder::Snapshot(id), Task::Sift(turn))) = catalog.begun_job()? {
            plan.end_sifting(id, turn)?;
        }
        plan.settle(&mut |_| {})?;
        plan.touched.clear();
        Ok(plan)
    }

    /// Takes what is found out of those lists that have it yet, and puts what the parent has into the snapshot's own.
    fn end_sifting(&mut self, id: SnapshotId, turn: Turn) -> Result<()> {
        let Turn { sift, is_last, after, .. } = turn;
        let part = |list, is_left_out, until| Part { list, until, is_left_out };
        let all = Birth(u64::MAX);
        for child in self.catalog.children(id) {
            let list = self.catalog.list(child)?;
            let found = part(sift.found, true, all);
            let more = match sift.stage {
                Stage::Take { list: at, .. } if list.id == at => vec![found, part(sift.taken, false, all)],
                Stage::Take { list: at, .. } | Stage::Drop { list: at } if list.id <= at => vec![],
                Stage::Find | Stage::Take { .. } | Stage::Drop { .. } => vec![found],
            };
            self.lists.insert(child, [part(list, false, all)].into_iter().chain(more).collect());
        }
        let holder = Holder::Snapshot(id);
        let found = part(sift.found, false, after);
        let more = match sift.stage {
            Stage::Drop { .. } if is_last => vec![],
            Stage::Take { .. } if is_last => vec![found, part(sift.taken, true, after)],
            Stage::Find | Stage::Take { .. } | Stage::Drop { .. } => vec![found],
        };
        self.lists.insert(holder, [part(self.catalog.list(holder)?, false, all)].into_iter().chain(more).collect());
        Ok(())
    }

    /// Dooms a holder, unless it is gone.
    pub fn doom(&mut self, holder: Holder) {
        self.doomed.insert(holder);
        self.review.insert(holder);
        self.touch(Some(holder));
    }

    fn touch(&mut self, holder: Option<Holder>) {
        if let Some(Holder::Snapshot(id)) = holder {
            self.changed.insert(id);
            self.touched.insert(id);
        }
    }

    /// Destroys the doomed, and tells what that frees, but for what several children of one have lost.
    pub fn settle(&mut self, freed: &mut dyn FnMut(Freed)) -> Result<()> {
        while !self.review.is_empty() {
            let mut merges: BTreeSet<(Birth, SnapshotId)> = BTreeSet::new();
            for holder in std::mem::take(&mut self.review) {
                let mut next = Some(holder);
                while let Some(holder) = next.take().filter(|holder| self.is_doomed(*holder)) {
                    let merge = match (self.count(holder), holder, self.hollow_parent(holder)) {
                        (0, _, Some(parent)) => parent,
                        (0, _, None) => {
                            next = self.remove_leaf(holder, freed)?.map(Holder::Snapshot);
                            continue;
                        }
                        (1, Holder::Snapshot(id), _) => id,
                        _ => continue,
                    };
                    merges.insert((self.catalog.birth(Some(merge)), merge));
                }
            }
            merges.into_iter().try_for_each(|(_, id)| self.merge(id, freed))?;
        }
        Ok(())
    }

    /// The parent, if that is hollow and has no other child: it is merged before the child is walked.
    fn hollow_parent(&self, holder: Holder) -> Option<SnapshotId> {
        let parent = self.parent(holder).map(Holder::Snapshot)?;
        let is_due = self.catalog.is_hollow(parent) && self.count(parent) == 1;
        if let Holder::Snapshot(id) = parent { is_due.then_some(id) } else { None }
    }

    /// Whether it is there, and to go.
    pub fn is_doomed(&self, holder: Holder) -> bool {
        let is_there = match self.parents.get(&holder) {
            Some(parent) => parent.is_some(),
            None => self.catalog.state(holder).is_ok(),
        };
        is_there && (self.doomed.contains(&holder) || self.catalog.is_purged(holder))
    }

    /// The parent.
    pub fn parent(&self, holder: Holder) -> Option<SnapshotId> {
        match self.parents.get(&holder) {
            Some(parent) => parent.flatten(),
            None => self.catalog.parent(holder),
        }
    }

    /// Those who have this parent.
    pub fn children_of(&self, id: SnapshotId) -> impl Iterator<Item = Holder> + '_ {
        let (first, last) = (Holder::Head(DatasetId(0)), Holder::Snapshot(SnapshotId(u64::MAX)));
        let before = self.catalog.children(id).filter(move |child| !self.children.contains_key(&(id, *child)));
        let changed = self.children.range((id, first)..=(id, last));
        before.chain(changed.filter(|(_, is_child)| **is_child).map(|((_, child), _)| *child))
    }

    /// How many children a holder has, where more than two are as good as two.
    fn count(&self, holder: Holder) -> usize {
        match holder {
            Holder::Head(_) => 0,
            Holder::Snapshot(id) => self.children_of(id).take(2).count(),
        }
    }

    /// Whether a snapshot is to go, and has several children.
    pub fn is_fork(&self, id: SnapshotId) -> bool {
        let holder = Holder::Snapshot(id);
        self.is_doomed(holder) && self.count(holder) > 1
    }

    /// Whether nothing stands in the lists of all children, but for what theirs may give them.
    pub fn is_settled(&self, id: SnapshotId) -> bool {
        !self.changed.contains(&id) && self.catalog.is_settled(id)
    }

    /// Those whose children may have other things in common than before, or give them to another parent.
    pub fn touched(&self) -> &BTreeSet<SnapshotId> {
        &self.touched
    }

    /// What a holder's dead list is put together of.
    pub fn parts(&self, holder: Holder) -> Result<Vec<Part>> {
        match self.lists.get(&holder) {
            Some(parts) => Ok(parts.clone()),
            None => {
                let list = self.catalog.list(holder)?;
                Ok(vec![Part { list, until: Birth(u64::MAX), is_left_out: false }])
            }
        }
    }

    /// The same of a holder that gets another list or is gone: to keep what it had would take memory as the square of a chain's length.
    fn take_parts(&mut self, holder: Holder) -> Result<Vec<Part>> {
        self.lists.remove(&holder).map_or_else(|| self.parts(holder), Ok)
    }

    /// Returns the parent.
    fn remove_leaf(&mut self, holder: Holder, freed: &mut dyn FnMut(Freed)) -> Result<Option<SnapshotId>> {
        let parent = self.parent(holder);
        freed(Freed::Tree { root: self.catalog.state(holder)?.root, after: self.catalog.birth(parent) });
        self.move_below(holder, None);
        Ok(parent)
    }

    fn merge(&mut self, id: SnapshotId, freed: &mut dyn FnMut(Freed)) -> Result<()> {
        let holder = Holder::Snapshot(id);
        // Its only child may have gone since, and it with that one.
        let Some(child) = self.children_of(id).next() else { return Ok(()) };
        let parent = self.parent(holder);
        let after = self.catalog.birth(parent);
        let mut parts = self.take_parts(holder)?;
        for part in self.take_parts(child)? {
            freed(Freed::Entries { part, after });
            parts.push(Part { until: part.until.min(after), ..part });
        }
        self.lists.insert(child, parts);
        self.move_below(child, Some(parent));
        self.move_below(holder, None);
        self.review.insert(child);
        Ok(())
    }

    /// Puts a holder below another parent, or with `None` takes it out of the forest.
    fn move_below(&mut self, holder: Holder, parent: Option<Option<SnapshotId>>) {
        let before = self.parent(holder);
        if let Some(before) = before {
            self.children.insert((before, holder), false);
        }
        if let Some(Some(parent)) = parent {
            self.children.insert((parent, holder), true);
        }
        self.parents.insert(holder, parent);
        [Some(holder), before.map(Holder::Snapshot), parent.flatten().map(Holder::Snapshot)]
            .into_iter()
            .for_each(|touched| self.touch(touched));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reclaim::tests::world::World;

    #[test]
    fn a_long_chain_takes_memory_in_proportion_to_its_length() {
        const LENGTH: usize = 100;
        let mut world = World::new(1);
        let head = world.create();
        for _ in 0..LENGTH {
            world.write(head);
            world.snapshot(head);
            world.commit();
        }
        world.write(head);
        world.commit();
        let mut plan = Plan::new(&world.catalog).unwrap();
        world.live_snapshots().into_iter().for_each(|id| plan.doom(Holder::Snapshot(id)));
        let mut freed = 0;
        plan.settle(&mut |_| freed += 1).unwrap();
        assert!(freed >= LENGTH - 1, "{freed} parts of lists are freed");
        let parts: usize = plan.lists.values().map(Vec::len).sum();
        assert!(parts <= LENGTH + 1, "{parts} parts are kept");
        assert_eq!(plan.parts(Holder::Head(head)).unwrap().len(), parts);
    }
}
