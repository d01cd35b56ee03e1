//! What several children of those to be destroyed have lost.
//!
//! Invariant: a pointer is found from its own entries alone, so lists are read for a part of all ids at a time, and as many
//! times as are needed for that part to fit into memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Holder, List};
use crate::error::Result;
use crate::format::{Birth, SlotId, SnapshotId};
use crate::reclaim::Sources;
use crate::reclaim::plan::{Part, Plan};
use crate::reclaim::sieve::{Pointer, pointers};

/// A snapshot to be destroyed that has several children.
#[derive(Clone, Debug)]
pub struct Fork {
    /// Whether what they have lost would go, and not only anyway. None if that is only needed for another one.
    pub goes: Option<bool>,
    /// What was born later would be freed; the rest is the parent's as well.
    after: Birth,
    birth: Birth,
    /// What each child's list is put together of, the least first, and which one before this the child is, if one.
    children: Vec<(Vec<Part>, Option<usize>)>,
}

/// How often each pointer.
type Counts = BTreeMap<Pointer, i64>;

/// Finds the forks where a plan makes a difference to another, those before whom they have as children. `goes` is of the plan.
pub fn forks(catalog: &Catalog, plan: &Plan<'_>, touched: &BTreeSet<SnapshotId>, goes: bool) -> Result<Vec<Fork>> {
    let mut building = Building { catalog, plan, goes, forks: Vec::new(), known: BTreeMap::new() };
    // Children are younger than their parents.
    for id in touched.iter().rev() {
        building.add(*id, true)?;
    }
    Ok(building.forks)
}

/// Whom a change reaches: what a fork's children have in common goes to its own list, and so into what its parent's have.
pub fn reached(plans: [&Plan<'_>; 2], touched: &BTreeSet<SnapshotId>) -> BTreeSet<SnapshotId> {
    let mut reached = touched.clone();
    for plan in plans {
        for id in touched {
            let mut next = plan.parent(Holder::Snapshot(*id));
            while let Some(id) = next.filter(|id| plan.is_fork(*id) && reached.insert(*id)) {
                next = plan.parent(Holder::Snapshot(id));
            }
        }
    }
    reached
}

struct Building<'a> {
    catalog: &'a Catalog,
    plan: &'a Plan<'a>,
    goes: bool,
    forks: Vec<Fork>,
    known: BTreeMap<SnapshotId, Option<usize>>,
}

impl Building<'_> {
    /// Returns its number, unless its children have nothing in common.
    fn add(&mut self, id: SnapshotId, is_wanted: bool) -> Result<Option<usize>> {
        if let Some(number) = self.known.get(&id) {
            if let Some(fork) = number.and_then(|number| self.forks.get_mut(number)) {
                fork.goes = fork.goes.or(is_wanted.then_some(self.goes));
            }
            return Ok(*number);
        }
        let mut number = None;
        if self.plan.is_fork(id) {
            let children = self.children(id)?;
            let gives_nothing = |(parts, fork): &(Vec<Part>, Option<usize>)| fork.is_none() && size(parts) == 0;
            let is_settled = self.plan.is_settled(id) && children.iter().all(|(_, fork)| fork.is_none());
            if !is_settled && !children.iter().any(gives_nothing) {
                let after = self.catalog.birth(self.plan.parent(Holder::Snapshot(id)));
                let (goes, birth) = (is_wanted.then_some(self.goes), self.catalog.birth(Some(id)));
                self.forks.push(Fork { goes, after, birth, children });
                number = Some(self.forks.len() - 1);
            }
        }
        self.known.insert(id, number);
        Ok(number)
    }

    fn children(&mut self, id: SnapshotId) -> Result<Vec<(Vec<Part>, Option<usize>)>> {
        let mut children = Vec::new();
        for child in self.plan.children_of(id) {
            let fork = if let Holder::Snapshot(id) = child { self.add(id, false)? } else { None };
            children.push((self.plan.parts(child)?, fork));
        }
        children.sort_by_key(|(parts, _)| size(parts));
        Ok(children)
    }
}

fn size(parts: &[Part]) -> u64 {
    parts.iter().filter(|part| !part.is_left_out).map(|part| part.list.chunks()).sum()
}

/// Ids of which so many are left out for each that is not.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    of: u64,
    number: u64,
}

impl Share {
    /// All ids.
    pub const ALL: Self = Self { of: 1, number: 0 };

    /// Two shares that make this one.
    pub fn halves(self) -> [Self; 2] {
        [Self { of: self.of * 2, ..self }, Self { of: self.of * 2, number: self.number + self.of }]
    }

    /// Whether it can be cut in two.
    pub fn is_large(self) -> bool {
        self.of < 1 << 20
    }

    /// Whether an id is one of it.
    pub fn contains(self, id: SlotId) -> bool {
        (id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % self.of == self.number
    }
}

/// Reads lists for a share of all ids.
pub struct Reading<'a> {
    pub sources: Sources<'a>,
    pub share: Share,
    /// How many pointers may be remembered.
    pub pointers_max: usize,
    /// How many entries were read.
    pub read: u64,
}

impl Reading<'_> {
    /// What the children of each fork have lost, all of them. `None` if that takes too much memory.
    pub fn common(&mut self, forks: &[Fork]) -> Result<Option<Vec<Counts>>> {
        let (mut found, mut held): (Vec<Counts>, usize) = (Vec::new(), 0);
        for fork in forks {
            let mut common: Option<Counts> = None;
            for (parts, number) in &fork.children {
                let of_fork = number.map(|number| &found[number]);
                let lost = self.lost(parts, of_fork, fork.birth, common.as_ref(), held)?;
                let Some(lost) = lost else { return Ok(None) };
                let empty = lost.is_empty();
                common = Some(match common {
                    None => lost,
                    Some(common) => least(common, &lost),
                });
                if empty {
                    break;
                }
            }
            let common = common.unwrap_or_default();
            held += common.len();
            found.push(common);
        }
        Ok(Some(found))
    }

    /// What a child has lost: of that what is `wanted`, if that is known.
    fn lost(
        &mut self,
        parts: &[Part],
        of_fork: Option<&Counts>,
        until: Birth,
        wanted: Option<&Counts>,
        held: usize,
    ) -> Result<Option<Counts>> {
        let is_wanted = |pointer: &Pointer| wanted.is_none_or(|wanted| wanted.contains_key(pointer));
        let of_fork = of_fork.into_iter().flatten();
        let own = of_fork.filter(|(pointer, _)| pointer.birth <= until && is_wanted(pointer));
        let mut lost: Counts = own.map(|(pointer, count)| (*pointer, *count)).collect();
        for part in parts {
            let List { id, first, end } = part.list;
            for number in first..end {
                let entries = Catalog::read_stored_chunk(self.sources.nodes, self.sources.system, id, number)?;
                self.read += entries.len() as u64;
                let entries = entries.iter().filter(|entry| entry.birth <= part.until);
                for pointer in entries.flat_map(pointers).filter(|pointer| self.share.contains(pointer.id)) {
                    if is_wanted(&pointer) {
                        *lost.entry(pointer).or_default() += if part.is_left_out { -1 } else { 1 };
                    }
                }
                if held + lost.len() + wanted.map_or(0, BTreeMap::len) > self.pointers_max && self.share.is_large() {
                    return Ok(None);
                }
            }
        }
        lost.retain(|_, count| *count > 0);
        Ok(Some(lost))
    }
}

fn least(mut one: Counts, other: &Counts) -> Counts {
    one.retain(|pointer, count| {
        *count = (*count).min(other.get(pointer).copied().unwrap_or(0));
        *count > 0
    });
    one
}

impl Fork {
    /// The same, behind so many others.
    #[must_use]
    pub fn behind(mut self, others: usize) -> Self {
        self.children.iter_mut().filter_map(|(_, fork)| fork.as_mut()).for_each(|fork| *fork += others);
        self
    }

    /// Whether a pointer would be freed, and not kept for the parent.
    pub fn frees(&self, pointer: &Pointer) -> bool {
        pointer.birth > self.after
    }
}
