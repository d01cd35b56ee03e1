//! Which kinds of calls and verbs a history uses, and how often.
//!
//! Histories that never do some things go further with the others (Groce et al., "Swarm Testing", ISSTA 2012): a log that no
//! sync empties, names that nobody removes, snapshots that are never destroyed.

use std::fmt;

use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Create,
    Link,
    Remove,
    RemoveDirectory,
    Rename,
    SetAttributes,
    Xattr,
    Question,
    Retain,
    Release,
    Sync,
    Read,
    Punch,
    Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerbKind {
    Create,
    Rename,
    Set,
    Snapshot,
    RenameSnapshot,
    Clone,
    Rewind,
    Destroy,
    DestroySnapshot,
    Undelete,
    Purge,
    Hold,
    Release,
}

/// How often of a hundred, where all are used.
const CALLS: [(CallKind, u64); 14] = [
    (CallKind::Create, 7),
    (CallKind::Link, 2),
    (CallKind::Remove, 5),
    (CallKind::RemoveDirectory, 2),
    (CallKind::Rename, 5),
    (CallKind::SetAttributes, 4),
    (CallKind::Xattr, 5),
    (CallKind::Question, 4),
    (CallKind::Retain, 2),
    (CallKind::Release, 1),
    (CallKind::Sync, 9),
    (CallKind::Read, 12),
    (CallKind::Punch, 5),
    (CallKind::Write, 37),
];

/// How often of forty.
const VERBS: [(VerbKind, u64); 13] = [
    (VerbKind::Create, 3),
    (VerbKind::Rename, 2),
    (VerbKind::Set, 6),
    (VerbKind::Snapshot, 8),
    (VerbKind::RenameSnapshot, 2),
    (VerbKind::Clone, 4),
    (VerbKind::Rewind, 3),
    (VerbKind::Destroy, 2),
    (VerbKind::DestroySnapshot, 3),
    (VerbKind::Undelete, 2),
    (VerbKind::Purge, 1),
    (VerbKind::Hold, 2),
    (VerbKind::Release, 2),
];

/// What a history uses.
pub(super) struct Swarm {
    pub calls: Mix<CallKind>,
    pub verbs: Mix<VerbKind>,
}

impl Swarm {
    /// Everything in one history of three; each kind with three chances of four in the others.
    pub fn draw(random: &mut Random) -> Self {
        let all = random.below(3) == 0;
        Self { calls: Mix::draw(&CALLS, all, random), verbs: Mix::draw(&VERBS, all, random) }
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls without {:?}, verbs without {:?}", self.calls.left_out, self.verbs.left_out)
    }
}

/// Kinds with their weights; at least one.
pub(super) struct Mix<T> {
    used: Vec<(T, u64)>,
    left_out: Vec<T>,
}

impl<T: Copy> Mix<T> {
    fn draw(kinds: &[(T, u64)], all: bool, random: &mut Random) -> Self {
        let (mut used, mut left_out) = (Vec::new(), Vec::new());
        for (kind, weight) in kinds {
            match all || random.below(4) > 0 {
                true => used.push((*kind, *weight)),
                false => left_out.push(*kind),
            }
        }
        if used.is_empty() {
            used.extend(kinds);
        }
        Self { used, left_out }
    }

    pub fn pick(&self, random: &mut Random) -> T {
        let mut at = random.below(self.used.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in &self.used {
            match at.checked_sub(*weight) {
                Some(beyond) => at = beyond,
                None => return *kind,
            }
        }
        unreachable!("a draw is below the sum of the weights");
    }
}
