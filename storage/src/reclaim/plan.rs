//! A copy of the forest in which holders are destroyed on paper.
//!
//! Invariant: [`Plan::settle`] follows the rules of the jobs, in an order that reads no list twice. What it tells does not
//! depend on the order: whoever is destroyed and has fewer than two children left is gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Holder, List};
use crate::error::Result;
use crate::format::{Birth, SnapshotId};
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
    parents: BTreeMap<Holder, Option<SnapshotId>>,
    children: BTreeMap<SnapshotId, BTreeSet<Holder>>,
    lists: BTreeMap<Holder, Vec<Part>>,
    doomed: BTreeSet<Holder>,
}

impl<'a> Plan<'a> {
    /// The forest as it will be once all present jobs are done.
    pub fn new(catalog: &'a Catalog) -> Result<Self> {
        let (parents, children, lists) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut plan = Self { catalog, parents, children, lists, doomed: BTreeSet::new() };
        for holder in catalog.forest() {
            let parent = catalog.parent(holder);
            plan.parents.insert(holder, parent);
            if let Some(parent) = parent {
                plan.children.entry(parent).or_default().insert(holder);
            }
            plan.lists.insert(holder, vec![Part { list: catalog.list(holder)?, until: Birth(u64::MAX) }]);
            if catalog.is_purged(holder) {
                plan.doomed.insert(holder);
            }
        }
        plan.settle(&mut |_| Ok(()))?;
        Ok(plan)
    }

    /// Dooms a holder, unless it is gone.
    pub fn doom(&mut self, holder: Holder) {
        if self.parents.contains_key(&holder) {
            self.doomed.insert(holder);
        }
    }

    /// Destroys the doomed, and tells what that frees.
    pub fn settle(&mut self, freed: &mut dyn FnMut(Freed) -> Result<()>) -> Result<()> {
        let leaves: Vec<Holder> = self.doomed.iter().copied().filter(|holder| self.count(*holder) == 0).collect();
        for leaf in leaves {
            let mut next = Some(leaf);
            while let Some(holder) = next.filter(|holder| self.doomed.contains(holder) && self.count(*holder) == 0) {
                next = self.remove_leaf(holder, freed)?.map(Holder::Snapshot);
            }
        }
        let mut single: Vec<(Birth, SnapshotId)> = Vec::new();
        for holder in &self.doomed {
            if let Holder::Snapshot(id) = holder
                && self.count(*holder) == 1
            {
                single.push((self.catalog.birth(Some(*id)), *id));
            }
        }
        single.sort_unstable();
        single.into_iter().try_for_each(|(_, id)| self.merge(id, freed))
    }

    fn count(&self, holder: Holder) -> usize {
        match holder {
            Holder::Head(_) => 0,
            Holder::Snapshot(id) => self.children.get(&id).map_or(0, BTreeSet::len),
        }
    }

    /// Returns the parent.
    fn remove_leaf(
        &mut self,
        holder: Holder,
        freed: &mut dyn FnMut(Freed) -> Result<()>,
    ) -> Result<Option<SnapshotId>> {
        let parent = self.parents.get(&holder).copied().flatten();
        freed(Freed::Tree { root: self.catalog.state(holder)?.root, after: self.catalog.birth(parent) })?;
        self.take(holder);
        Ok(parent)
    }

    fn merge(&mut self, id: SnapshotId, freed: &mut dyn FnMut(Freed) -> Result<()>) -> Result<()> {
        let holder = Holder::Snapshot(id);
        let Some(child) = self.children.get(&id).and_then(BTreeSet::first).copied() else { return Ok(()) };
        let parent = self.parents.get(&holder).copied().flatten();
        let after = self.catalog.birth(parent);
        let mut parts = self.lists.remove(&holder).unwrap_or_default();
        for part in self.lists.remove(&child).unwrap_or_default() {
            freed(Freed::Entries { list: part.list, after, until: part.until })?;
            parts.push(Part { list: part.list, until: part.until.min(after) });
        }
        self.lists.insert(child, parts);
        self.take(holder);
        self.children.remove(&id);
        self.parents.insert(child, parent);
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().insert(child);
        }
        Ok(())
    }

    /// Takes a holder out of the forest.
    fn take(&mut self, holder: Holder) {
        if let Some(Some(parent)) = self.parents.remove(&holder)
            && let Some(siblings) = self.children.get_mut(&parent)
        {
            siblings.remove(&holder);
        }
        self.lists.remove(&holder);
        self.doomed.remove(&holder);
    }
}
