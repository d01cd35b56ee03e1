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
}

/// What a job still has to free of a dead list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedEntries {
    /// Who is merged into its child.
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
/// A holder owns what its tree reaches and was born after its parent in the forest. While a job is under way:
/// - of a holder that is walked, only what lies after the walk's cursor is left;
/// - a holder that is merged into its only child is not walked any more. The child owns what it reaches and was born after
///   that holder's parent, and of the child's list those entries are left that were: they are the merged one's.
pub fn owned(catalog: &Catalog) -> Result<Vec<Owned>> {
    let mut parts = Vec::new();
    let mut merging = None;
    match catalog.begun_job()? {
        Some((holder, Task::Walk { root, after, from })) => parts.push(Owned::Tree { holder, root, after, from }),
        Some((holder, Task::Merge { child, list, after })) => {
            merging = Some((child, after));
            parts.push(Owned::Entries(OwedEntries { holder, list, after }));
        }
        Some((_, Task::Forget { .. })) | None => {}
    }
    for holder in catalog.holders() {
        let own = catalog.threshold(holder);
        let after = merging.filter(|(child, _)| *child == holder).map_or(own, |(_, after)| after);
        parts.push(Owned::Tree { holder, root: catalog.state(holder)?.root, after, from: Key::MIN });
    }
    Ok(parts)
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
