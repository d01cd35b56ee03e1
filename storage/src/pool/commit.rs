//! The atomic step that makes new roots the durable ones.
//!
//! Order: cut, write back, verbs, system tree, account, flush, superblock; only then are roots
//! installed, the log before the *previous* commit released, and segments given back, so that either
//! superblock slot opens whole. After an error in between nothing is known, and the pool is poisoned.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, MutexGuard};

use crate::account::{Account, AccountState, Mark};
use crate::catalog::{Catalog, Compression, Holder, State};
use crate::content::{WriteBack, write_back};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, Timestamp};
use crate::intent::LogPosition;
use crate::pool::core::{Committed, Core};
use crate::pool::head::{Frozen, Head};
use crate::pool::payload::Payload;
use crate::pool::view::Latest;
use crate::segment::Place;
use crate::store::CommitWriter;
use crate::superblock::{COPY_LEN, Superblock};
use crate::tree::{Dead, Root, apply};

/// A verb that waits for a commit to be part of.
pub type Job = Box<dyn FnOnce(&mut Change<'_>) + Send>;
/// What follows a verb once it is durable.
type After = Box<dyn FnOnce(&Core) + Send>;

/// What a verb sees and changes inside a commit.
pub struct Change<'a> {
    /// The pool.
    pub core: &'a Core,
    /// Datasets and snapshots.
    pub catalog: &'a mut Catalog,
    /// The commit.
    pub birth: Birth,
    /// The last commit's system tree.
    pub system: Root,
    after: Vec<After>,
}

impl Change<'_> {
    /// Has `act` done once the commit is durable.
    pub fn then(&mut self, act: impl FnOnce(&Core) + Send + 'static) {
        self.after.push(Box::new(act));
    }
}

struct Cut {
    heads: Vec<Frozen>,
    jobs: Vec<Job>,
    log: LogPosition,
}

struct Written {
    head: Arc<Head>,
    state: State,
    dead: Vec<Dead>,
    dirty_len: u64,
}

impl Core {
    /// Makes everything so far durable.
    pub fn commit(&self, now: Timestamp) -> Result<()> {
        let mut committed = self.committed.lock();
        self.commit_locked(&mut committed, now)
    }

    /// Returns when a commit that was cut after `seen` (a value of `last_cut`) is durable: another's, or its own.
    pub fn commit_if_none_since(&self, seen: u64, now: Timestamp) -> Result<()> {
        let mut committed = self.committed.lock();
        match committed.birth.0 > seen {
            true => self.check(),
            false => self.commit_locked(&mut committed, now),
        }
    }

    /// Does a verb inside a commit, and returns when that is durable. Verbs that come together share one.
    pub fn submit<T: Send + 'static>(
        &self,
        now: Timestamp,
        verb: impl FnOnce(&mut Change<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.check()?;
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        self.jobs.lock().push(Box::new(move |change| *slot.lock() = Some(verb(change))));
        let mut committed = self.committed.lock();
        // Another's commit may have taken it along; that one is durable by now, or has poisoned the pool.
        if answer.lock().is_none() {
            self.commit_locked(&mut committed, now)?;
        }
        self.check()?;
        let answer = answer.lock().take();
        answer.unwrap_or_else(|| Err(ErrorKind::Poisoned.into()))
    }

    /// The commit that ends recovery. It fails for its own reason, since there is no pool yet to be reopened.
    pub fn first_commit(&self, now: Timestamp) -> Result<()> {
        let mut committed = self.committed.lock();
        self.try_commit(&mut committed, now)
    }

    fn commit_locked(&self, committed: &mut MutexGuard<'_, Committed>, now: Timestamp) -> Result<()> {
        self.check()?;
        self.try_commit(committed, now).map_err(|error| {
            self.poison();
            Error::because(ErrorKind::Poisoned, "a commit failed: reopen the pool", error)
        })
    }

    fn try_commit(&self, committed: &mut MutexGuard<'_, Committed>, now: Timestamp) -> Result<()> {
        let cut = self.cut(Birth(committed.birth.0 + 1));
        let quiet = cut.heads.is_empty() && cut.jobs.is_empty() && !self.moved.swap(false, Ordering::AcqRel);
        committed.idle = if quiet { committed.idle + 1 } else { 0 };
        // What a commit frees is given back by the second after it.
        if committed.idle > 2 && self.store.account().totals().pending == 0 {
            return Ok(());
        }
        self.write(committed, cut, now)
    }

    /// Separates what is in the commit from what is not.
    fn cut(&self, birth: Birth) -> Cut {
        let _gate = self.gate.write();
        self.last_cut.store(birth.0, Ordering::Release);
        let mut dirty: Vec<_> = self.dirty_heads.lock().drain().collect();
        dirty.sort_by_key(|(holder, _)| *holder);
        let heads = dirty.iter().filter_map(|(_, head)| head.freeze()).collect();
        Cut { heads, jobs: std::mem::take(&mut *self.jobs.lock()), log: self.log.position() }
    }

    fn write(&self, committed: &mut Committed, cut: Cut, now: Timestamp) -> Result<()> {
        let birth = Birth(committed.birth.0 + 1);
        let writer = CommitWriter::new(&self.store, birth);
        let written = cut.heads.into_iter().map(|frozen| self.write_head(frozen, &writer, birth));
        let written: Vec<Written> = written.collect::<Result<_>>()?;
        let (system, after) = self.change_catalog(committed, &written, cut.jobs, &writer, birth)?;
        let next = Committed { birth, system, log: cut.log, at: now.max(committed.at), idle: committed.idle };
        let account = self.publish(&next, self.epoch.oldest().min(committed.birth))?;
        self.install(&written);
        *self.latest.lock() = Latest { birth, system, account };
        self.epoch.advance(birth);
        self.log.release(committed.log);
        *committed = next;
        self.tally.commits.fetch_add(1, Ordering::Relaxed);
        after.into_iter().for_each(|act| act(self));
        self.store.account().reclaim(birth, self.epoch.oldest())?;
        Ok(())
    }

    fn write_head(&self, frozen: Frozen, writer: &CommitWriter<'_>, birth: Birth) -> Result<Written> {
        let Frozen { head, overlay, below, dirty_len, mut state } = frozen;
        let properties = head.properties();
        let level = match properties.compression {
            Compression::Off => None,
            Compression::Zstd(level) => Some(level),
        };
        let how = WriteBack {
            dataset: head.dataset,
            block_len: head.block_len,
            extent_len: properties.extent_size,
            level,
            birth,
            privileged: true,
            dedup: properties.dedup,
        };
        let written = write_back(&self.store, &below, &overlay.read(), &how)?;
        self.tally.deduplicated_bytes.fetch_add(written.deduplicated_bytes, Ordering::Relaxed);
        let mut dead = Vec::new();
        state.root = apply(writer, &below, written.edits, birth, &mut dead)?.root;
        Ok(Written { head, state, dead, dirty_len })
    }

    fn change_catalog(
        &self,
        committed: &Committed,
        written: &[Written],
        jobs: Vec<Job>,
        writer: &CommitWriter<'_>,
        birth: Birth,
    ) -> Result<(Root, Vec<After>)> {
        let mut catalog = self.catalog.write();
        self.catalog_birth.store(birth.0, Ordering::Release);
        let account = self.store.account();
        let mut free = |dead: &Dead| account.free(birth, dead.id, dead.first, dead.count);
        for Written { head, state, dead, .. } in written {
            catalog.set_head(head.dataset, *state)?;
            catalog.retire(head.dataset, dead, &mut free)?;
        }
        let mut change =
            Change { core: self, catalog: &mut catalog, birth, system: committed.system, after: Vec::new() };
        jobs.into_iter().for_each(|job| job(&mut change));
        let after = change.after;
        let mut dead = Vec::new();
        let system = apply(writer, &committed.system, catalog.take_edits(), birth, &mut dead)?.root;
        dead.iter().try_for_each(free)?;
        Ok((system, after))
    }

    fn publish(&self, next: &Committed, fold_up_to: Birth) -> Result<AccountState> {
        let account = self.store.account();
        let options = account.segments().options();
        let superblock = |state: &AccountState| {
            let payload = Payload {
                secret: self.secret,
                segment_len: options.segment_len,
                reserve_count: options.reserve_count,
                committed: next.at,
                system: next.system,
                log: next.log,
                account: state.clone(),
            };
            payload.superblock(self.id)
        };
        let state = write_with_copy(account, fold_up_to, next.birth, &superblock)?;
        superblock(&state).publish(&*self.superblock)?;
        Ok(state)
    }

    fn install(&self, written: &[Written]) {
        for Written { head, state, dirty_len, .. } in written {
            head.install(state);
            self.dirty_len.fetch_sub(*dirty_len, Ordering::Relaxed);
        }
    }

    /// Forgets a head or snapshot that is gone from the catalog.
    pub fn forget(&self, holder: Holder) {
        if let Some(head) = self.heads.lock().remove(&holder) {
            head.set_gone();
        }
    }
}

/// Writes what the account has of commit `birth`, and last a copy of its superblock; and makes both streams durable.
pub fn write_with_copy(
    account: &Account,
    fold_up_to: Birth,
    birth: Birth,
    superblock: &dyn Fn(&AccountState) -> Superblock,
) -> Result<AccountState> {
    let copy = |state: &AccountState, at: Place| superblock(state).encode_copy(at.segment, at.offset);
    let mark = Mark { length: COPY_LEN as u32, make: &copy };
    let state = account.commit(birth, fold_up_to, Some(mark))?;
    account.segments().flush()?;
    Ok(state)
}
