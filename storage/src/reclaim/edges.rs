//! What each dead list must have, from the trees on both sides of its edge.
//!
//! Invariant: what a list's holder has and what the list has are together what the parent has of them, at every moment; but for a
//! holder that is walked just now. What a hollow snapshot has is told by the child that stands for it, and that one's list.

use crate::catalog::{Catalog, Holder, List, Stage, Task, Turn};
use crate::error::Result;
use crate::format::{Birth, SnapshotId};
use crate::reclaim::Sources;
use crate::reclaim::recount::Forest;
use crate::tree::{Dead, Root, for_each_lost};

/// An edge of the forest.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Who is below, with a dead list.
    pub holder: Holder,
    /// The newest that the parent can have.
    until: Birth,
    parent: Root,
    child: Root,
    /// Lists, and whether their entries are added to what the parent's tree has and the child's has not, or taken off.
    lists: Vec<(List, i64)>,
}

impl Edge {
    /// Calls `found` with pointers and 1 or -1. The sum of all is how much more the holder's list should have of each.
    pub fn for_each(&self, sources: Sources<'_>, found: &mut dyn FnMut(&Dead, i64)) -> Result<()> {
        for (list, change) in &self.lists {
            for number in list.first..list.end {
                let entries = Catalog::read_stored_chunk(sources.nodes, sources.system, list.id, number)?;
                entries.iter().filter(|entry| entry.birth <= self.until).for_each(|entry| found(entry, *change));
            }
        }
        for_each_lost(sources.nodes, &self.parent, &self.child, self.until, found)
    }
}

/// All edges of which something is known. The catalog has no edits that were not taken.
pub fn edges(catalog: &Catalog) -> Result<Vec<Edge>> {
    let forest = Forest::new(catalog)?;
    let mut edges = Vec::new();
    for holder in catalog.forest() {
        let Some(parent) = catalog.parent(holder).filter(|_| !forest.is_going(holder)) else { continue };
        if forest.stands_for(holder).is_some() {
            continue;
        }
        let (of_parent, of_child) = (content(&forest, Holder::Snapshot(parent))?, content(&forest, holder)?);
        let mut lists: Vec<(List, i64)> = of_parent.1.into_iter().map(|list| (list, 1)).collect();
        lists.extend(of_child.1.into_iter().chain([catalog.list(holder)?]).map(|list| (list, -1)));
        lists.extend(taken_out(catalog, parent, catalog.list(holder)?)?);
        let (until, parent, child) = (catalog.birth(Some(parent)), of_parent.0, of_child.0);
        edges.push(Edge { holder, until, parent, child, lists });
    }
    Ok(edges)
}

/// What a holder has: a tree, and entries of lists.
fn content(forest: &Forest<'_>, mut holder: Holder) -> Result<(Root, Vec<List>)> {
    let mut lists = Vec::new();
    while let Some(child) = forest.stand_in(holder) {
        lists.push(forest.catalog.list(child)?);
        holder = child;
    }
    Ok((forest.catalog.state(holder)?.root, lists))
}

/// What the sifting under way has taken out of a list, and the last one has yet.
fn taken_out(catalog: &Catalog, parent: SnapshotId, list: List) -> Result<Vec<(List, i64)>> {
    let Some((Holder::Snapshot(id), Task::Sift(Turn { sift, is_last, .. }))) = catalog.begun_job()? else {
        return Ok(Vec::new());
    };
    Ok(match sift.stage {
        _ if id != parent => vec![],
        Stage::Take { list: at, .. } if list.id < at && is_last => vec![(sift.found, -1), (sift.taken, 1)],
        Stage::Take { list: at, .. } if list.id < at => vec![(sift.found, -1)],
        Stage::Take { list: at, .. } if list.id == at => vec![(sift.taken, -1)],
        Stage::Drop { list: at } if list.id <= at && !is_last => vec![(sift.found, -1)],
        Stage::Find | Stage::Take { .. } | Stage::Drop { .. } => vec![],
    })
}
