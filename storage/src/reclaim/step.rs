//! Works off what is purged.
//!
//! Invariant: a step frees a pointer in the same commit in which the catalog forgets that it is owed, so a step that
//! is lost in a crash is done again, and one that is not is not. The catalog forgets first: whatever fails, nothing is
//! freed twice.

use crate::catalog::{Catalog, List, Task};
use crate::error::{Error, Result};
use crate::format::Birth;
use crate::reclaim::Sources;
use crate::tree::{Dead, Key, Root, walk_born_after_past_damage};

/// Pointers in a leaf of a tree, or chunk of a list, as a rule.
const POINTERS_TOGETHER: u64 = 64;

/// Most chunks that are sorted out before the catalog is told, so that what stays is packed well.
const CHUNKS_TOGETHER: u64 = 64;

/// What a step did.
#[derive(Debug, Default)]
pub struct Progress {
    /// Pointers that were looked at, roughly.
    pub done: u64,
    /// Whether nothing is left to do.
    pub idle: bool,
    /// Why a part of a destroyed tree could not be read. What it leads to stays allocated.
    pub damage: Option<Error>,
}

/// Frees about `budget` pointers of what is purged, inside a commit. May be called several times in one, with
/// [`Catalog::retire`] before or after.
///
/// The commit can go on after an error. If a dead list could not be read, the next step will try again; a pointer that `free`
/// refused stays allocated.
pub fn step(
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    free: &mut dyn FnMut(&Dead) -> Result<()>,
) -> Result<Progress> {
    let (mut done, mut damage) = (0, None);
    while done < budget
        && let Some(task) = catalog.next_job()?
    {
        let rest = budget - done;
        done += match task {
            Task::Walk { root, after, from } => {
                let mut damaged = |error| damage = damage.take().or(Some(error));
                walk(catalog, sources, rest, (&root, after, from), free, &mut damaged)?
            }
            Task::Forget { list } => {
                let chunks = (list.end - list.first).min(1 + rest / POINTERS_TOGETHER);
                catalog.forgotten(chunks)?;
                chunks
            }
            Task::Merge { list, after, .. } => merge(catalog, sources, rest, list, after, free)?,
        };
    }
    Ok(Progress { done, idle: !catalog.has_jobs(), damage })
}

/// Frees a part of what a destroyed holder without children owns.
fn walk(
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    (root, after, from): (&Root, Birth, Key),
    free: &mut dyn FnMut(&Dead) -> Result<()>,
    damaged: &mut dyn FnMut(Error),
) -> Result<u64> {
    let mut found = Vec::new();
    let leaves = 1 + budget / POINTERS_TOGETHER;
    let visit = &mut |dead| found.push(dead);
    let next = walk_born_after_past_damage(sources.nodes, root, after, from, leaves, visit, damaged)?;
    catalog.walked(next)?;
    free_all(&found, free)?;
    Ok(1 + found.len() as u64)
}

/// Sorts out a part of the list of a destroyed holder's only child.
fn merge(
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    list: List,
    after: Birth,
    free: &mut dyn FnMut(&Dead) -> Result<()>,
) -> Result<u64> {
    let (mut done, mut chunks, mut own, mut kept) = (1, 0, Vec::new(), Vec::new());
    for number in list.first..list.end.min(list.first + CHUNKS_TOGETHER) {
        if done > budget {
            break;
        }
        let entries = catalog.read_chunk(sources.nodes, sources.system, list.id, number)?;
        done += entries.len() as u64;
        chunks += 1;
        for entry in entries {
            if entry.birth > after {
                own.push(entry);
            } else {
                kept.push(entry);
            }
        }
    }
    catalog.merged(chunks, kept)?;
    free_all(&own, free)?;
    Ok(done)
}

/// Frees also those after one that is refused: nobody else will.
fn free_all(dead: &[Dead], free: &mut dyn FnMut(&Dead) -> Result<()>) -> Result<()> {
    let mut done = Ok(());
    for dead in dead {
        done = done.and(free(dead));
    }
    done
}
