//! Who waits for whom. Pure.
//!
//! An owner that waits does so for those who hold what it wants, and out of fairness for those who have waited for the same
//! for longer. The first kind in a circle is a deadlock. The second kind gives way when it would make one.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::locks::file::FileLocks;
use crate::locks::{Claim, File, Owner};

/// Waits looked at in a search: in a larger tangle no circle is found.
const SEARCHED_MAX: usize = 4096;

/// In which files an owner waits, once for each wait.
#[derive(Default)]
pub struct Waits(HashMap<Owner, Vec<File>>);

/// Which reasons to wait count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reasons {
    /// That another holds the lock.
    Held,
    /// And that another has waited for it for longer.
    HeldOrQueued,
}

impl Waits {
    /// One more wait.
    pub fn add(&mut self, claim: &Claim) {
        self.0.entry(claim.owner.clone()).or_default().push(claim.file);
    }

    /// One less.
    pub fn remove(&mut self, claim: &Claim) {
        if let Some(files) = self.0.get_mut(&claim.owner) {
            if let Some(at) = files.iter().position(|file| *file == claim.file) {
                files.swap_remove(at);
            }
            if files.is_empty() {
                self.0.remove(&claim.owner);
            }
        }
    }

    /// Whether the first owners wait, over any number of others, for `to`. `None` if that is too much to find out.
    pub fn lead<'a>(
        &'a self,
        files: &'a HashMap<File, FileLocks>,
        from: impl IntoIterator<Item = &'a Owner>,
        to: &Owner,
        reasons: Reasons,
    ) -> Option<bool> {
        let mut open: Vec<&Owner> = from.into_iter().collect();
        let mut seen: HashSet<&Owner> = open.iter().copied().collect();
        let mut searched = 0;
        while let Some(owner) = open.pop() {
            if owner == to {
                return Some(true);
            }
            let mut its_files: Vec<&File> = self.0.get(owner).into_iter().flatten().collect();
            its_files.sort_unstable();
            its_files.dedup();
            for locks in its_files.into_iter().filter_map(|file| files.get(file)) {
                searched += locks.waiting.len();
                if searched > SEARCHED_MAX {
                    return None;
                }
                for (at, waiting) in locks.waiting.iter().enumerate().filter(|(_, of)| of.claim.owner == *owner) {
                    let queue_end = if reasons == Reasons::HeldOrQueued { at } else { 0 };
                    let queued = locks.waiters_against(&waiting.claim, queue_end);
                    open.extend(locks.holders_against(&waiting.claim).chain(queued).filter(|next| seen.insert(next)));
                }
            }
        }
        Some(false)
    }

    /// Whether an owner waits for anything.
    pub fn has(&self, owner: &Owner) -> bool {
        self.0.contains_key(owner)
    }

    /// All files in which somebody waits.
    pub fn files(&self) -> BTreeSet<File> {
        self.0.values().flatten().copied().collect()
    }
}
