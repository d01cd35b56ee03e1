//! The forest as it would be if some holders were destroyed.
//!
//! Invariant: [`Plan::settle`] follows the rules of the jobs, in an order that reads no list twice. What it tells does not
//! depend on the order: whoever is destroyed and has fewer than two children left is gone. Only what differs from the
//! catalog is kept, so a plan costs what is destroyed, and not the forest.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Holder, List};
use crate::error::Result;
use crate::format::{Birth, DatasetId, SnapshotId};
use crate::tree::Root;

/// Pointers that would be freed.
#[derive(Clone, Copy, Debug)]
pub enum Freed {
    /// What a tree reaches and was born after.
    Tree { root: Root, after: Birth },
    /// Entries of a list born after one commit, and no later than another.
    Entries { list: List, after: Birth, until: Birth },
}

/// A part of a dead list that was put together: entries born no later than this.
#[derive(Clone, Copy)]
struct Part {
    list: List,
    until: Birth,
}

/// The forest.
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
}

impl<'a> Plan<'a> {
    /// The forest as it will be once all present jobs are done.
    pub fn new(catalog: &'a Catalog) -> Result<Self> {
        let (parents, children, lists) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let review = catalog.due_holders().collect();
        let mut plan = Self { catalog, parents, children, lists, doomed: BTreeSet::new(), review };
        plan.settle(&mut |_| {})?;
        Ok(plan)
    }

    /// Dooms a holder, unless it is gone.
    pub fn doom(&mut self, holder: Holder) {
        self.doomed.insert(holder);
        self.review.insert(holder);
    }

    /// Destroys the doomed, and tells what that frees.
    pub fn settle(&mut self, freed: &mut dyn FnMut(Freed)) -> Result<()> {
        let mut merges: BTreeSet<(Birth, SnapshotId)> = BTreeSet::new();
        for holder in std::mem::take(&mut self.review) {
            let mut next = Some(holder);
            while let Some(holder) = next.filter(|holder| self.is_doomed(*holder)) {
                next = match (self.count(holder), holder) {
                    (0, _) => self.remove_leaf(holder, freed)?.map(Holder::Snapshot),
                    (1, Holder::Snapshot(id)) => {
                        merges.insert((self.catalog.birth(Some(id)), id));
                        None
                    }
                    _ => None,
                };
            }
        }
        merges.into_iter().try_for_each(|(_, id)| self.merge(id, freed))
    }

    /// Whether it is there, and to go.
    fn is_doomed(&self, holder: Holder) -> bool {
        let is_there = match self.parents.get(&holder) {
            Some(parent) => parent.is_some(),
            None => self.catalog.state(holder).is_ok(),
        };
        is_there && (self.doomed.contains(&holder) || self.catalog.is_purged(holder))
    }

    fn parent(&self, holder: Holder) -> Option<SnapshotId> {
        match self.parents.get(&holder) {
            Some(parent) => parent.flatten(),
            None => self.catalog.parent(holder),
        }
    }

    fn children_of(&self, id: SnapshotId) -> impl Iterator<Item = Holder> + '_ {
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

    fn parts(&self, holder: Holder) -> Result<Vec<Part>> {
        match self.lists.get(&holder) {
            Some(parts) => Ok(parts.clone()),
            None => Ok(vec![Part { list: self.catalog.list(holder)?, until: Birth(u64::MAX) }]),
        }
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
        let mut parts = self.parts(holder)?;
        for part in self.parts(child)? {
            freed(Freed::Entries { list: part.list, after, until: part.until });
            parts.push(Part { list: part.list, until: part.until.min(after) });
        }
        self.lists.insert(child, parts);
        self.move_below(child, Some(parent));
        self.move_below(holder, None);
        Ok(())
    }

    /// Puts a holder below another parent, or with `None` takes it out of the forest.
    fn move_below(&mut self, holder: Holder, parent: Option<Option<SnapshotId>>) {
        if let Some(before) = self.parent(holder) {
            self.children.insert((before, holder), false);
        }
        if let Some(Some(parent)) = parent {
            self.children.insert((parent, holder), true);
        }
        self.parents.insert(holder, parent);
    }
}
