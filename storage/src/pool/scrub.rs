//! Verification of stored bytes a piece at a time, in passes that a user or a schedule starts.
//!
//! Invariants: a commit is pinned only within a step, so between steps everything comes back that is freed. What the system
//! tree has of a pass is no further than what was read and checked, and names all damage that was found up to there; so
//! whatever ends the pool, what is read after it is opened is what remained, and a little of what was read already.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{SlotId, Timestamp};
use crate::pool::Progress;
use crate::pool::core::Core;
use crate::pool::publish::Change;
use crate::pool::view::Latest;
use crate::scrub::{Damage, Pass, PassState, Piece, check_piece, pass_edits, told};
use crate::store::Store;
use crate::tree::{Edit, ItemRef, Key, Reader, Root};

/// How long a pass gets on until its place is stored again, in seconds. A crash has as much read twice.
const KEPT_EVERY_SECS: i64 = 10;

/// What scrubbing remembers between steps.
#[derive(Debug, Default)]
pub struct Scrubbing {
    /// The pass that is under way, or was last.
    pass: Option<Pass>,
    /// How many passes began since the pool was opened.
    number: u64,
    /// What the system tree has.
    kept: Kept,
}

/// What the system tree has of scrubbing.
#[derive(Debug, Default)]
struct Kept {
    /// Of which pass.
    number: u64,
    /// How much damage of its list.
    listed: usize,
    /// Since when.
    at: Timestamp,
    /// Whether that is all.
    is_all: bool,
}

/// A step of a pass.
struct Turn {
    /// Which pass it is.
    number: u64,
    /// Where the step begins.
    from: SlotId,
    /// Where the pass ends.
    end: SlotId,
}

impl Scrubbing {
    /// Goes on with what the system tree has.
    pub fn new(pass: Option<Pass>) -> Self {
        let listed = pass.as_ref().map_or(0, |pass| pass.damage.len());
        let kept = Kept { number: 0, listed, at: Timestamp::default(), is_all: true };
        Self { pass, number: 0, kept }
    }

    fn begin(&mut self, pass: Pass) {
        (self.pass, self.number, self.kept.is_all) = (Some(pass), self.number + 1, false);
    }

    fn set(&mut self, state: PassState, now: Timestamp) {
        if let Some(pass) = &mut self.pass {
            pass.set(state, now);
        }
        self.kept.is_all = false;
    }

    fn under_way(&self) -> Option<PassState> {
        self.pass.as_ref().filter(|pass| pass.is_under_way()).map(|pass| pass.state)
    }

    fn turn(&self) -> Option<Turn> {
        let pass = self.pass.as_ref().filter(|pass| pass.state == PassState::Running)?;
        Some(Turn { number: self.number, from: pass.next, end: pass.end })
    }

    /// Takes what a step read, unless its pass was ended meanwhile. Returns whether that is to be stored now.
    fn take(&mut self, turn: &Turn, piece: &Piece, damage: &[Damage], now: Timestamp) -> bool {
        let Some(pass) = self.pass.as_mut().filter(|pass| pass.is_under_way() && self.number == turn.number) else {
            return false;
        };
        pass.bytes += piece.bytes;
        pass.objects += piece.objects;
        pass.note(damage);
        self.kept.is_all = false;
        match piece.next {
            Some(next) => pass.next = next,
            None => {
                pass.next = pass.end;
                pass.set(PassState::Finished, now);
            }
        }
        let age = now.seconds.saturating_sub(self.kept.at.seconds);
        piece.next.is_none() || !damage.is_empty() || !(0..KEPT_EVERY_SECS).contains(&age)
    }

    /// What the system tree is to get.
    fn edits(&self) -> Vec<Edit> {
        let listed = (self.kept.number == self.number).then_some(self.kept.listed);
        self.pass.as_ref().filter(|_| !self.kept.is_all).map_or_else(Vec::new, |pass| pass_edits(pass, listed))
    }

    fn keep(&mut self, at: Timestamp) {
        let listed = self.pass.as_ref().map_or(0, |pass| pass.damage.len());
        self.kept = Kept { number: self.number, listed, at, is_all: true };
    }
}

impl Core {
    /// Begins a pass, or goes on with one that is paused; with `anew` it begins whatever is under way.
    pub fn scrub_start(&self, anew: bool, now: Timestamp) -> Result<()> {
        self.check()?;
        {
            let end = self.latest.lock().account.ids_end();
            let total = self.store.account().totals().live;
            let mut scrubbing = self.scrubbing.lock();
            match scrubbing.under_way().filter(|_| !anew) {
                None => {
                    let last = scrubbing.pass.as_ref().and_then(|pass| pass.last);
                    scrubbing.begin(Pass::begin(end, total, last, now));
                }
                Some(PassState::Paused) => scrubbing.set(PassState::Running, now),
                Some(_) => return Err(Error::new(ErrorKind::Conflict, "a scrub is under way already")),
            }
        }
        self.promise_scrub(now)
    }

    /// Has the pass that is under way wait.
    pub fn scrub_pause(&self, now: Timestamp) -> Result<()> {
        self.end_running(&[PassState::Running], PassState::Paused, now)
    }

    /// Ends the pass that is under way or paused where it is.
    pub fn scrub_cancel(&self, now: Timestamp) -> Result<()> {
        self.end_running(&[PassState::Running, PassState::Paused], PassState::Cancelled, now)
    }

    fn end_running(&self, from: &[PassState], to: PassState, now: Timestamp) -> Result<()> {
        self.check()?;
        {
            let mut scrubbing = self.scrubbing.lock();
            match scrubbing.under_way() {
                Some(state) if from.contains(&state) => scrubbing.set(to, now),
                Some(_) => return Err(Error::new(ErrorKind::Conflict, "the scrub is paused already")),
                None => return Err(Error::new(ErrorKind::Conflict, "no scrub is under way")),
            }
        }
        self.promise_scrub(now)
    }

    /// The pass that is under way, or was last.
    pub fn scrub_pass(&self) -> Option<Pass> {
        self.scrubbing.lock().pass.clone()
    }

    /// Goes on with the pass that is under way for about `budget` stored bytes. It is idle when that has ended, or there is none.
    pub fn scrub_step(&self, budget: u64, now: Timestamp) -> Result<Progress> {
        let _one_at_a_time = self.scrub_turn.lock();
        let Some(turn) = self.scrubbing.lock().turn() else {
            return Ok(Progress { idle: true, ..Progress::default() });
        };
        let (piece, damage) = self.scrub_piece(turn.from..turn.end, budget)?;
        let is_due = self.scrubbing.lock().take(&turn, &piece, &damage, now);
        if is_due && let Err(error) = self.keep_scrub(now) {
            // What was found is to be heard of, and that it was not stored, the next step tells.
            if damage.is_empty() {
                return Err(error);
            }
        }
        Ok(Progress { done: piece.bytes, idle: piece.next.is_none(), damage })
    }

    /// Reads and checks a piece of what the last commit left: slots in `ids` from the first on. With the last piece goes what has no slots.
    pub(in crate::pool) fn scrub_piece(&self, ids: Range<SlotId>, budget: u64) -> Result<(Piece, Vec<Damage>)> {
        let (pin, roots) = self.committed_roots()?;
        let mut piece = check_piece(&self.store, &self.store.account().view(&roots.account), ids, budget)?;
        let mut damage = Vec::new();
        if piece.next.is_none() {
            damage.extend(self.scrub_account(&roots));
            damage.extend(self.verify_superblock(roots.birth.0)?);
        }
        let findings = std::mem::take(&mut piece.findings);
        if !findings.is_empty() {
            let view = self.view_of(pin, roots)?;
            damage.extend(findings.damage_of_referred(view.scene(self)));
        }
        Ok((piece, damage))
    }

    /// Reads what the account has beside the slot table.
    fn scrub_account(&self, roots: &Latest) -> Vec<Damage> {
        let view = self.store.account().view(&roots.account);
        let usage = view.usage().err().map(|error| format!("the account's pages are damaged: {}", told(&error)));
        let log = view.pending().err().map(|error| format!("the free log is damaged: {}", told(&error)));
        [usage, log].into_iter().flatten().map(Damage::of_the_pool).collect()
    }

    /// Stores where the pass is and what it found, if the system tree does not have it yet.
    pub fn keep_scrub(&self, now: Timestamp) -> Result<()> {
        if self.scrubbing.lock().kept.is_all {
            return Ok(());
        }
        self.promise_scrub(now)
    }

    /// The same, and it is durable when this returns: a commit that has it already may still be under way.
    fn promise_scrub(&self, now: Timestamp) -> Result<()> {
        self.submit(Vec::new(), now, move |change| {
            change.keep_scrub(now);
            Ok(())
        })
    }
}

impl Change<'_> {
    /// Takes the pass as it is now, so that of several that store it none stores what is older than another's.
    fn keep_scrub(&mut self, now: Timestamp) {
        let mut scrubbing = self.core.scrubbing.lock();
        let edits = scrubbing.edits();
        // Where the tree is damaged they would fail the commit. The pass goes on without, but another opening knows nothing of it.
        if edits.iter().all(|edit| can_be_made(&self.core.store, &self.system, edit)) {
            self.beside.extend(edits);
            scrubbing.keep(now);
        } else {
            scrubbing.kept.at = now;
        }
    }
}

/// Whether the nodes can be read that an edit of the system tree changes.
fn can_be_made(nodes: &Store, system: &Root, edit: &Edit) -> bool {
    let (first, last) = match edit {
        Edit::Put(key, _) | Edit::Run(key, _) | Edit::Delete(key) => (*key, *key),
        Edit::DeleteRange(first, last) => (*first, *last),
    };
    Reader::new(nodes, *system).scan(first, last, &mut |_: Key, _: ItemRef<'_>| true).is_ok()
}

#[cfg(test)]
mod tests;
