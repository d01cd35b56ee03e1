//! The locks of one file: who holds which bytes, and who waits in which order. Pure.
//!
//! Invariant: an owner's parts are in order, do not overlap, and those of one kind do not touch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::locks::{Claim, File, Kind, Owner, Range, Waiter};

/// A file's locks.
#[derive(Default)]
pub struct FileLocks {
    owners: BTreeMap<Owner, Parts>,
    /// Who waits, the first first.
    pub waiting: VecDeque<Waiting>,
}

/// What one owner holds.
pub struct Parts {
    process: i32,
    handle: Arc<[u8]>,
    held: Vec<(Range, Kind)>,
}

/// One that waits.
#[derive(Clone)]
pub struct Waiting {
    /// What for.
    pub claim: Claim,
    /// Tells it from others that wait for the same.
    pub number: u64,
    /// Who is told.
    pub waiter: Arc<dyn Waiter>,
}

impl FileLocks {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.waiting.is_empty()
    }

    /// All that is held.
    pub fn held(&self, file: File) -> impl Iterator<Item = Claim> {
        self.owners.iter().flat_map(move |(owner, parts)| {
            parts.held.iter().map(move |&(range, kind)| parts.claim(file, owner, range, kind))
        })
    }

    /// How many locks an owner holds.
    pub fn count(&self, owner: &Owner) -> usize {
        self.owners.get(owner).map_or(0, |parts| parts.held.len())
    }

    /// A held lock that stands against a claim.
    pub fn obstacle(&self, claim: &Claim) -> Option<Claim> {
        self.owners.iter().filter(|(owner, _)| **owner != claim.owner).find_map(|(owner, parts)| {
            let &(range, kind) = parts.against(claim)?;
            Some(parts.claim(claim.file, owner, range, kind))
        })
    }

    /// The owners that hold what stands against a claim.
    pub fn holders_against(&self, claim: &Claim) -> impl Iterator<Item = &Owner> {
        self.owners
            .iter()
            .filter(|(owner, parts)| **owner != claim.owner && parts.against(claim).is_some())
            .map(|of| of.0)
    }

    /// The owners that have waited for what stands against a claim before whoever is at this place.
    pub fn waiters_against(&self, claim: &Claim, at: usize) -> impl Iterator<Item = &Owner> {
        self.waiting.iter().take(at).filter(|earlier| earlier.claim.excludes(claim)).map(|earlier| &earlier.claim.owner)
    }

    /// Whether an owner holds all these bytes in this way already.
    pub fn has(&self, claim: &Claim) -> bool {
        self.owners.get(&claim.owner).is_some_and(|parts| {
            parts.held.iter().any(|&(range, kind)| kind == claim.kind && range.covers(claim.range))
        })
    }

    /// Gives an owner these bytes in this way, in place of what it had there.
    pub fn hold(&mut self, claim: &Claim) {
        let (process, handle) = (claim.process, claim.handle.clone());
        let parts = self.owners.entry(claim.owner.clone()).or_insert(Parts { process, handle, held: Vec::new() });
        (parts.process, parts.handle) = (claim.process, claim.handle.clone());
        parts.take_out(claim.range);
        let (range, kind) = (claim.range, claim.kind);
        let joined = |part: &(Range, Kind)| part.1 == kind && part.0.touches(range);
        let all = parts.held.iter().filter(|part| joined(part)).fold(range, |all, part| all.with(part.0));
        parts.held.retain(|part| !joined(part));
        let at = parts.held.partition_point(|part| part.0.first() < all.first());
        parts.held.insert(at, (all, kind));
    }

    /// Takes bytes from an owner.
    pub fn release(&mut self, owner: &Owner, range: Range) {
        if let Some(parts) = self.owners.get_mut(owner) {
            parts.take_out(range);
            if parts.held.is_empty() {
                self.owners.remove(owner);
            }
        }
    }

    /// Whether to take these bytes from an owner leaves it with more locks than it has.
    pub fn splits(&self, owner: &Owner, range: Range) -> bool {
        let splits = |part: &(Range, Kind)| part.0.without(range).iter().flatten().count() == 2;
        self.owners.get(owner).is_some_and(|parts| parts.held.iter().any(splits))
    }

    /// Who holds something.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.owners.keys()
    }
}

impl Parts {
    fn claim(&self, file: File, owner: &Owner, range: Range, kind: Kind) -> Claim {
        Claim { file, owner: owner.clone(), range, kind, process: self.process, handle: self.handle.clone() }
    }

    /// The first part that stands against a claim of another owner.
    fn against(&self, claim: &Claim) -> Option<&(Range, Kind)> {
        let from = self.held.partition_point(|part| part.0.last() < claim.range.first());
        let reached = self.held[from..].iter().take_while(|part| part.0.overlaps(claim.range));
        reached.into_iter().find(|part| part.1.excludes(claim.kind))
    }

    fn take_out(&mut self, range: Range) {
        if !self.held.iter().any(|part| part.0.overlaps(range)) {
            return;
        }
        let held = std::mem::take(&mut self.held).into_iter();
        self.held = held
            .flat_map(|(part, kind)| {
                let left = if part.overlaps(range) { part.without(range) } else { [Some(part), None] };
                left.into_iter().flatten().map(move |part| (part, kind))
            })
            .collect();
    }
}
