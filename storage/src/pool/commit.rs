//! Who commits, when, and what waits for it.
//!
//! A *whole* commit takes along the changes of all heads. While it writes back what they had, others
//! may make *small* ones: of the heads that a verb or a sync is about, so that these do not wait for all
//! the rest. What a whole commit is writing back belongs to it alone: who needs that waits for it.
//!
//! Invariant: `flight` is locked for the whole of a whole commit, `committed` while roots change; who takes both takes
//! them in this order.

use std::sync::Arc;

use crate::catalog::Holder;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, Timestamp};
use crate::pool::core::{Committed, Core};
use crate::pool::cut::{Act, Cut, Job};
use crate::pool::head::Head;
use crate::pool::publish::Change;
use crate::sync::{Mutex, MutexGuard, Ordering};

/// With more dirty bytes a whole commit lets small ones pass while it writes them back.
const LONG_LEN_MIN: u64 = 2 << 20;
/// The same as a part of the budget, when that is small.
const LONG_PART: u64 = 16;
/// What heads may have together that are committed before a long commit, and how many.
const SMALL_LEN_MAX: u64 = 512 << 10;
const SMALL_MAX: usize = 16;
/// Numbers that a long commit leaves to the small ones that pass it: odd, so that it goes into the other slot if none does.
const NUMBERS_LEFT: u64 = (1 << 16) + 1;

impl Core {
    /// Makes everything so far durable.
    pub fn commit(&self, now: Timestamp) -> Result<()> {
        let _flight = self.flight.lock();
        self.commit_whole(now)
    }

    /// Returns when a whole commit that was cut after `seen` (a value of `last_cut`) is durable: another's, or its own.
    pub fn commit_if_none_since(&self, seen: u64, now: Timestamp) -> Result<()> {
        let _flight = self.flight.lock();
        match self.last_whole.load(Ordering::Acquire) > seen {
            true => self.check(),
            false => self.commit_whole(now),
        }
    }

    /// The same for any commit that has one head's changes.
    pub fn commit_head_if_none_since(&self, head: &Head, seen: u64, now: Timestamp) -> Result<()> {
        let done = || self.last_whole.load(Ordering::Acquire).max(head.last_cut()) > seen;
        self.commit_some(&[head.holder], &done, now)
    }

    /// Does a verb inside a commit that has the changes so far of some heads, and returns when that is durable. Verbs that
    /// come together share one.
    pub fn submit<T: Send + 'static>(
        &self,
        heads: Vec<Holder>,
        now: Timestamp,
        verb: impl FnOnce(&mut Change<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.check()?;
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let act: Act = Box::new(move |change| *slot.lock() = Some(verb(change)));
        self.jobs.lock().push(Job { heads: heads.clone(), act });
        // Another's commit may take it along; that one is durable when this is seen, or has poisoned the pool.
        self.commit_some(&heads, &|| answer.lock().is_some(), now)?;
        let answer = answer.lock().take();
        answer.unwrap_or_else(|| Err(ErrorKind::Poisoned.into()))
    }

    /// The commit that ends recovery. It fails for its own reason, since there is no pool yet to be reopened.
    pub fn first_commit(&self, now: Timestamp) -> Result<()> {
        let _flight = self.flight.lock();
        self.try_commit_whole(now, false)
    }

    /// Whether a verb about these heads would have to wait for a commit that is under way.
    pub fn is_busy_with(&self, heads: &[Holder]) -> bool {
        self.committed.try_lock().is_none_or(|committed| self.must_wait(&committed, heads))
    }

    /// Commits what all heads have. The flight is locked.
    fn commit_whole(&self, now: Timestamp) -> Result<()> {
        self.check()?;
        self.poison_unless(self.try_commit_whole(now, true))
    }

    /// Commits heads with little by themselves, if a long commit is about to begin: who needs one of them would have to wait
    /// for all that it takes along.
    fn commit_small_first(&self, committed: &mut Committed, now: Timestamp) -> Result<()> {
        let small = self.small_beside_large();
        if small.is_empty() || !self.has_place_for(committed, &small) {
            return Ok(());
        }
        let cut = self.cut_some(committed, &small);
        self.write(committed, cut, now)
    }

    /// Some heads with little dirty memory, if others have much.
    fn small_beside_large(&self) -> Vec<Holder> {
        if self.dirty() < self.long_len() {
            return Vec::new();
        }
        let dirty = self.dirty_heads.lock().clone();
        let mut lengths: Vec<(u64, Holder)> =
            dirty.into_iter().map(|(holder, head)| (head.present().layers.dirty_bytes(), holder)).collect();
        lengths.sort_unstable();
        let mut small_len = 0;
        let is_small = |(length, _): &&(u64, Holder)| {
            small_len += length;
            small_len <= SMALL_LEN_MAX
        };
        let small: Vec<Holder> =
            lengths.iter().take_while(is_small).map(|(_, holder)| *holder).take(SMALL_MAX).collect();
        if small.len() < lengths.len() { small } else { Vec::new() }
    }

    /// With so many dirty bytes a whole commit is a long one.
    fn long_len(&self) -> u64 {
        LONG_LEN_MIN.min(self.budgets.dirty / LONG_PART)
    }

    fn try_commit_whole(&self, now: Timestamp, small_first: bool) -> Result<()> {
        let mut committed = self.committed.lock();
        self.check()?;
        // With nothing in between: who commits one of the small heads again dirties it again at once.
        let small = if small_first { self.commit_small_first(&mut committed, now) } else { Ok(()) };
        // Poisoned while that is locked: else another might commit upon what this one left unfinished.
        small.and_then(|()| self.commit_all(&mut committed, now)).inspect_err(|_| self.poison())
    }

    fn commit_all(&self, committed: &mut MutexGuard<'_, Committed>, now: Timestamp) -> Result<()> {
        let cut = self.cut_whole(false);
        let has_moved = self.moved.swap(false, Ordering::AcqRel);
        let is_folded = self.store.account().totals().pending == 0;
        let quiet = cut.heads.is_empty() && !has_moved && is_folded;
        committed.idle = if quiet { committed.idle + 1 } else { 0 };
        let ticket = cut.ticket;
        // What a commit frees, and what it folds, is given back by the second after it.
        if committed.idle <= 2 {
            self.write_whole(committed, cut, now)?;
            self.tally.whole_commits.fetch_add(1, Ordering::Relaxed);
        }
        self.last_whole.store(ticket, Ordering::Release);
        Ok(())
    }

    fn write_whole(&self, committed: &mut MutexGuard<'_, Committed>, cut: Cut, now: Timestamp) -> Result<()> {
        let dirty: u64 = cut.heads.iter().map(|frozen| frozen.dirty_len).sum();
        if dirty < self.long_len() {
            return self.write(committed, cut, now);
        }
        let birth = Birth(committed.birth.0 + NUMBERS_LEFT);
        committed.reserved = Some(birth);
        // What small commits free meanwhile stays until this one has decided what it refers to.
        let pin = self.epoch.pin();
        let written = MutexGuard::unlocked(committed, || self.write_back(cut.heads, birth))?;
        drop(pin);
        committed.reserved = None;
        self.check()?;
        if (birth.0 - committed.birth.0).is_multiple_of(2) {
            // An odd number of small ones passed: one more, lest this overwrite the last of them.
            let (next, log) = (Birth(committed.birth.0 + 1), (committed.log, committed.cuts.clone()));
            self.publish(committed, next, &[], Vec::new(), log, now)?;
        }
        let cuts = committed.cuts.after(&cut.log);
        self.publish(committed, birth, &written, Vec::new(), (cut.log, cuts), now)
    }

    /// Commits what some heads have, and verbs that wait, unless by then `done` tells that another commit did.
    fn commit_some(&self, heads: &[Holder], done: &dyn Fn() -> bool, now: Timestamp) -> Result<()> {
        let mut flight = None;
        loop {
            let mut committed = self.committed.lock();
            self.check()?;
            if done() {
                return Ok(());
            }
            let is_large = !self.has_place_for(&committed, heads);
            if flight.is_none() && (is_large || self.must_wait(&committed, heads)) {
                drop(committed);
                flight = Some(self.flight.lock());
                continue;
            }
            committed.idle = 0;
            let cut = if is_large { self.cut_whole(true) } else { self.cut_some(&committed, heads) };
            let whole = cut.whole.then_some(cut.ticket);
            self.poison_unless(self.write(&mut committed, cut, now))?;
            if let Some(ticket) = whole {
                self.tally.whole_commits.fetch_add(1, Ordering::Relaxed);
                self.last_whole.store(ticket, Ordering::Release);
            }
            return self.check();
        }
    }

    /// Whether one of these is being written back, or the numbers before that commit's are used up.
    fn must_wait(&self, committed: &Committed, heads: &[Holder]) -> bool {
        let is_used_up = |reserved: Birth| committed.birth.0 + 2 >= reserved.0;
        committed.reserved.is_some_and(|reserved| is_used_up(reserved) || self.is_any_frozen(heads))
    }

    /// Writes a cut back and makes it durable, with nothing in between.
    fn write(&self, committed: &mut Committed, cut: Cut, now: Timestamp) -> Result<()> {
        let birth = Birth(committed.birth.0 + 1);
        let written = self.write_back(cut.heads, birth)?;
        if !cut.whole {
            self.log.wait_before(&cut.logged)?;
        }
        self.publish(committed, birth, &written, cut.jobs, (cut.log, cut.cuts), now)
    }

    fn poison_unless(&self, written: Result<()>) -> Result<()> {
        written.map_err(|error| {
            self.poison();
            Error::because(ErrorKind::Poisoned, "a commit failed: reopen the pool", error)
        })
    }
}
