//! Finds every pointer that is stored, once.

use crate::catalog::{Catalog, Holder, List, Task};
use crate::error::Result;
use crate::format::Birth;
use crate::reclaim::Sources;
use crate::tree::{Dead, Key, Root, walk_born_after};

/// A part of what is stored, and whose it is. All parts together have each pointer once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owned {
    /// What a tree reaches and was born after a commit, but for what a walk from `from` on would skip.
    Tree {
        /// Whose tree it is.
        holder: Holder,
        /// The tree.
        root: Root,
        /// What was born then or before belongs to another part.
        after: Birth,
        /// What lies before it is freed already; [`Key::MIN`] as a rule.
        from: Key,
    },
    /// Entries of a dead list that were born after a commit.
    Entries(OwedEntries),
    /// Nothing more, but a way to some of that: who knows what is owned need not look there, and who reads all there is must, for
    /// no other part reaches some of what only stands in a list.
    Way {
        /// Whose tree it is.
        holder: Holder,
        /// The tree.
        root: Root,
        /// What was born after the first and no later than the second, if another part has it.
        births: (Birth, Birth),
        /// What this tree has as well is reached another way.
        other: Root,
    },
}

/// What stands in a child's dead list, and only therefore is there still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedEntries {
    /// Whose it is: the child's parent.
    pub holder: Holder,
    list: List,
    after: Birth,
}

impl OwedEntries {
    /// Calls `found` with each entry.
    pub fn for_each(
        &self,
        catalog: &Catalog,
        sources: Sources<'_>,
        found: &mut dyn FnMut(&Dead) -> Result<()>,
    ) -> Result<()> {
        for number in self.list.first..self.list.end {
            let entries = catalog.read_chunk(sources.nodes, sources.system, self.list.id, number)?;
            entries.iter().filter(|entry| entry.birth > self.after).try_for_each(&mut *found)?;
        }
        Ok(())
    }
}

/// The parts that everything stored falls into, but for the system tree.
///
/// A holder owns what its tree reaches and was born after its parent in the forest. But
/// - of a holder that is walked, only what lies after the walk's cursor is left;
/// - a snapshot that is merged into its child or hollow is not walked any more: what it has is what one of its children has, and
///   what that one has lost. So that child owns what it reaches and was born after the parent's parent, and of its list the
///   entries that were are the parent's. The list with the largest id is the last that a sifting frees something of.
pub fn owned(catalog: &Catalog) -> Result<Vec<Owned>> {
    let mut parts = Vec::new();
    if let Some((holder, Task::Walk { root, after, from })) = catalog.begun_job()? {
        parts.push(Owned::Tree { holder, root, after, from });
    }
    let forest = Forest::new(catalog)?;
    for holder in catalog.forest().into_iter().filter(|holder| !forest.is_going(*holder)) {
        let after = forest.threshold(holder);
        if !forest.is_hollow(holder) {
            parts.push(Owned::Tree { holder, root: catalog.state(holder)?.root, after, from: Key::MIN });
        }
        if let Some(parent) = forest.stands_for(holder) {
            parts.push(Owned::Entries(OwedEntries { holder: parent, list: catalog.list(holder)?, after }));
        }
        let is_top = |id| !forest.is_hollow(Holder::Snapshot(id));
        if forest.is_hollow(holder) && catalog.parent(holder).is_none_or(is_top) {
            forest.ways(holder, &mut parts)?;
        }
    }
    Ok(parts)
}

/// The forest with the job under way.
pub(in crate::reclaim) struct Forest<'a> {
    pub catalog: &'a Catalog,
    /// Whose job it is, and whether it is a merge.
    job: Option<(Holder, bool)>,
}

impl<'a> Forest<'a> {
    /// The forest as it is.
    pub fn new(catalog: &'a Catalog) -> Result<Self> {
        let job = catalog.begun_job()?.map(|(holder, task)| (holder, matches!(task, Task::Merge { .. })));
        Ok(Self { catalog, job })
    }

    /// Whether a holder is walked, or was.
    pub fn is_going(&self, holder: Holder) -> bool {
        self.job == Some((holder, false)) && !self.is_hollow(holder)
    }

    fn is_hollow(&self, holder: Holder) -> bool {
        self.job == Some((holder, true)) || self.catalog.is_hollow(holder)
    }

    /// The child that tells what a hollow snapshot has.
    pub fn stand_in(&self, holder: Holder) -> Option<Holder> {
        match holder {
            Holder::Snapshot(id) if self.is_hollow(holder) => {
                self.catalog.children(id).rev().find(|child| !self.is_going(*child))
            }
            _ => None,
        }
    }

    /// The hollow parent, if this is the child that tells what that has.
    pub fn stands_for(&self, holder: Holder) -> Option<Holder> {
        let parent = self.catalog.parent(holder).map(Holder::Snapshot)?;
        (self.stand_in(parent) == Some(holder)).then_some(parent)
    }

    /// The ways to what a hollow snapshot and those hollow below it have, but for the one that is owned: who stands for them comes
    /// first, and each other one reaches what the one before does not.
    fn ways(&self, top: Holder, parts: &mut Vec<Owned>) -> Result<()> {
        let after = self.catalog.threshold(top);
        let (mut below, mut before) = (vec![top], None);
        while let Some(holder) = below.pop() {
            if let (true, Holder::Snapshot(id)) = (self.is_hollow(holder), holder) {
                below.extend(self.catalog.children(id).filter(|child| !self.is_going(*child)));
                continue;
            }
            let root = self.catalog.state(holder)?.root;
            if let Some(other) = before.replace(root) {
                parts.push(Owned::Way { holder, root, births: (after, self.threshold(holder)), other });
            }
        }
        Ok(())
    }

    /// What the holder or those whom it stands for own was born later than this.
    fn threshold(&self, mut holder: Holder) -> Birth {
        while let Some(parent) = self.stands_for(holder) {
            holder = parent;
        }
        self.catalog.threshold(holder)
    }
}

/// Calls `found` with every reference that datasets and snapshots have to nodes and blocks, each exactly once, and
/// whose it is. These are what the account must have counted, together with all pointers of the system tree.
pub fn for_each_reference(
    catalog: &Catalog,
    sources: Sources<'_>,
    found: &mut dyn FnMut(Holder, &Dead) -> Result<()>,
) -> Result<()> {
    owned(catalog)?.into_iter().try_for_each(|part| match part {
        Owned::Entries(entries) => entries.for_each(catalog, sources, &mut |dead| found(entries.holder, dead)),
        Owned::Tree { holder, root, after, from } => walk(sources, holder, &root, after, from, found),
        Owned::Way { .. } => Ok(()),
    })
}

fn walk(
    sources: Sources<'_>,
    holder: Holder,
    root: &Root,
    after: Birth,
    from: Key,
    found: &mut dyn FnMut(Holder, &Dead) -> Result<()>,
) -> Result<()> {
    const LEAVES: u64 = 256;
    let mut next = Some(from);
    while let Some(from) = next {
        let mut pointers = Vec::new();
        next = walk_born_after(sources.nodes, root, after, from, LEAVES, &mut |dead| pointers.push(dead))?;
        pointers.iter().try_for_each(|dead| found(holder, dead))?;
    }
    Ok(())
}
