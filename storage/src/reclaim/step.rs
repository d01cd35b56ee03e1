//! Works off what is purged.
//!
//! Invariant: a step frees a pointer in the same commit in which the catalog forgets that it is owed, so a step that
//! is lost in a crash is done again, and one that is not is not. The catalog forgets first: whatever fails, nothing is
//! freed twice.

use crate::catalog::{Catalog, List, Task, Turn};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Birth;
use crate::reclaim::{Free, Sifter, Sources};
use crate::tree::{Dead, Key, Root, walk_born_after_past_damage};

/// Pointers in a leaf of a tree, or chunk of a list, as a rule.
pub(in crate::reclaim) const POINTERS_TOGETHER: u64 = 64;

/// Most chunks that are sorted out before the catalog is told, so that what stays is packed well.
pub(in crate::reclaim) const CHUNKS_TOGETHER: u64 = 64;

/// What a step did.
#[derive(Debug, Default)]
pub struct Progress {
    /// Pointers that were looked at, roughly.
    pub done: u64,
    /// Whether nothing is left to do.
    pub idle: bool,
    /// Why parts of what was destroyed could not be read. What they lead to stays allocated.
    pub damage: Vec<Error>,
}

/// Frees about `budget` pointers of what is purged, inside a commit. May be called several times in one, with
/// [`Catalog::retire`] before or after. What is to be sifted is read before: [`Sifter::aim`].
///
/// The commit can go on after an error. If the disk could not be read, the next step will try again, while damage is passed by;
/// a pointer that `free` refused stays allocated.
pub fn step(
    catalog: &mut Catalog,
    sifter: &mut Sifter,
    sources: Sources<'_>,
    budget: u64,
    free: &mut Free<'_>,
) -> Result<Progress> {
    let (mut done, mut damage) = (0, sifter.take_damage());
    while done < budget {
        let rest = budget - done;
        let advanced = match catalog.next_job()? {
            None | Some(Task::Sift(_)) => sifter.step(catalog, sources, rest, free)?,
            Some(task) => {
                let mut damaged = |error| damage.push(error);
                work_off(task, catalog, sources, rest, free, &mut damaged)?
            }
        };
        if advanced == 0 {
            break;
        }
        done += advanced;
        damage.append(&mut sifter.take_damage());
    }
    let idle = !catalog.has_jobs() && sifter.is_idle(catalog);
    if idle {
        sifter.calm();
    }
    Ok(Progress { done, idle, damage })
}

/// What the next step will read, and has to be read while nobody waits. Made of the catalog of the last commit.
#[derive(Clone, Copy, Debug)]
pub struct Ahead(Option<Task>);

impl Ahead {
    /// Looks what is next.
    pub fn new(catalog: &Catalog) -> Result<Self> {
        catalog.next_job().map(Self)
    }

    /// Reads it, so that it is in the caches when a commit does a step with this budget. The step finds again what is damaged.
    pub fn read(&self, sources: Sources<'_>, budget: u64) -> Result<()> {
        let read = match &self.0 {
            Some(Task::Walk { root, after, from }) => {
                let leaves = 1 + budget / POINTERS_TOGETHER;
                let ignored = &mut |_| ();
                walk_born_after_past_damage(sources.nodes, root, *after, *from, leaves, &mut |_| (), ignored).map(drop)
            }
            Some(Task::Merge { list, .. } | Task::Forget { list } | Task::Sift(Turn { list, .. })) => {
                let last = list.end.min(list.first + CHUNKS_TOGETHER).min(list.first + 1 + budget / POINTERS_TOGETHER);
                let mut chunks = list.first..last;
                chunks.try_for_each(|number| {
                    Catalog::read_stored_chunk(sources.nodes, sources.system, list.id, number).map(drop)
                })
            }
            None => Ok(()),
        };
        match read {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(()),
            read => read,
        }
    }
}

fn work_off(
    task: Task,
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    free: &mut Free<'_>,
    damaged: &mut dyn FnMut(Error),
) -> Result<u64> {
    match task {
        Task::Walk { root, after, from } => walk(catalog, sources, budget, (&root, after, from), free, damaged),
        Task::Forget { list } => forget(catalog, sources, budget, list, damaged),
        Task::Merge { list, after, to, .. } => merge(catalog, sources, budget, (list, after, to), free, damaged),
        Task::Sift(_) => Ok(0),
    }
}

/// Frees a part of what a destroyed holder without children owns.
fn walk(
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    (root, after, from): (&Root, Birth, Key),
    free: &mut Free<'_>,
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

/// Drops a part of the list of a destroyed holder. Its chunks are read, for to remove one from a damaged node would make the
/// commit fail.
fn forget(
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    list: List,
    damaged: &mut dyn FnMut(Error),
) -> Result<u64> {
    let most = list.chunks().min(1 + budget / POINTERS_TOGETHER);
    let mut chunks = 0;
    while chunks < most {
        match chunk(catalog, sources, list, list.first + chunks)? {
            Ok(_) => chunks += 1,
            Err(_) if chunks > 0 => break,
            Err(error) => {
                damaged(error);
                return catalog.passed_damage().map(|()| 1);
            }
        }
    }
    catalog.forgotten(chunks)?;
    // Also where there was nothing to drop.
    Ok(chunks.max(1))
}

/// A chunk of a list, or why it cannot be read, if that is damage.
pub(in crate::reclaim) fn chunk(
    catalog: &Catalog,
    sources: Sources<'_>,
    list: List,
    number: u64,
) -> Result<Result<Vec<Dead>, Error>> {
    match catalog.read_chunk(sources.nodes, sources.system, list.id, number) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err(error)),
        other => other.map(Ok),
    }
}

/// What damage keeps a commit from appending to a list.
pub(in crate::reclaim) fn end_damage(sources: Sources<'_>, list: List) -> Result<Option<Error>> {
    match Catalog::check_end(sources.nodes, sources.system, list) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(error)),
        other => other.map(|()| None),
    }
}

/// Sorts out a part of the list of a destroyed holder's only child.
fn merge(
    catalog: &mut Catalog,
    sources: Sources<'_>,
    budget: u64,
    (list, after, to): (List, Birth, List),
    free: &mut Free<'_>,
    damaged: &mut dyn FnMut(Error),
) -> Result<u64> {
    let (mut done, mut chunks, mut own, mut kept) = (1, 0, Vec::new(), Vec::new());
    for number in list.first..list.end.min(list.first + CHUNKS_TOGETHER) {
        if done > budget {
            break;
        }
        let entries = match chunk(catalog, sources, list, number)? {
            Ok(entries) => entries,
            // First what was read is put away.
            Err(_) if chunks > 0 => break,
            Err(error) => {
                damaged(error);
                return catalog.passed_damage().map(|()| done);
            }
        };
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
    if !kept.is_empty()
        && let Some(damage) = end_damage(sources, to)?
    {
        damaged(damage);
        kept.clear();
    }
    catalog.merged(chunks, kept)?;
    free_all(&own, free)?;
    Ok(done)
}

/// Frees also those after one that is refused: nobody else will.
pub(in crate::reclaim) fn free_all(dead: &[Dead], free: &mut Free<'_>) -> Result<()> {
    let mut done = Ok(());
    for dead in dead {
        done = done.and(free(dead));
    }
    done
}
