//! Finds every pointer that is stored, once.

use crate::catalog::{Catalog, Holder, Task};
use crate::error::Result;
use crate::format::Birth;
use crate::reclaim::Sources;
use crate::tree::{Dead, Key, Root, walk_born_after};

/// Calls `found` with every reference that datasets and snapshots have to nodes and blocks, each exactly once, and
/// whose it is. These are what the account must have counted, together with all pointers of the system tree.
///
/// A holder owns what its tree reaches and was born after its parent in the forest. While a job is under way:
/// - of a holder that is walked, only what lies after the walk's cursor is left;
/// - a holder that is merged into its only child is not walked any more. The child owns what it reaches and was born after
///   that holder's parent, and of the child's list those entries are left that were: they are told as the merged one's.
pub fn for_each_reference(
    catalog: &Catalog,
    sources: Sources<'_>,
    found: &mut dyn FnMut(Holder, &Dead) -> Result<()>,
) -> Result<()> {
    let mut merging = None;
    match catalog.begun_job()? {
        Some((holder, Task::Walk { root, after, from })) => walk(sources, holder, &root, after, from, found)?,
        Some((holder, Task::Merge { child, list, after })) => {
            merging = Some((child, after));
            for number in list.first..list.end {
                let entries = catalog.read_chunk(sources.nodes, sources.system, list.id, number)?;
                let owed = entries.iter().filter(|entry| entry.birth > after);
                owed.into_iter().try_for_each(|entry| found(holder, entry))?;
            }
        }
        Some((_, Task::Forget { .. })) | None => {}
    }
    for holder in catalog.holders() {
        let own = catalog.threshold(holder);
        let after = merging.filter(|(child, _)| *child == holder).map_or(own, |(_, after)| after);
        let root = catalog.state(holder)?.root;
        walk(sources, holder, &root, after, Key::MIN, found)?;
    }
    Ok(())
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
