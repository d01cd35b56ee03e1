//! The atomic step that makes new roots the durable ones.
//!
//! Order: write back, verbs, system tree, account, flush, superblock; only then are roots installed, the
//! log before the *previous* commit released, and segments given back, so that either superblock slot
//! opens whole. After an error in between nothing is known, and the pool is poisoned.

use std::sync::Arc;

use crate::account::{Account, AccountState, Mark};
use crate::catalog::Holder;
use crate::catalog::{Catalog, Compression, State};
use crate::content::{WriteBack, write_back};
use crate::error::{ErrorKind, Result};
use crate::format::{Birth, Timestamp};
use crate::intent::LogPosition;
use crate::pool::core::{Committed, Core};
use crate::pool::cut::Act;
use crate::pool::cuts::Cuts;
use crate::pool::head::{Frozen, Head};
use crate::pool::payload::Payload;
use crate::pool::view::Latest;
use crate::scrub::{Damage, told};
use crate::segment::Place;
use crate::store::CommitWriter;
use crate::superblock::Superblock;
use crate::sync::Ordering;
use crate::tree::{Dead, Edit, Root, apply};

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
    /// Edits of that beside the catalog's: whoever makes them has looked whether what they change can be read.
    pub beside: Vec<Edit>,
    after: Vec<After>,
}

impl Change<'_> {
    /// Has `act` done once the commit is durable.
    pub fn then(&mut self, act: impl FnOnce(&Core) + Send + 'static) {
        self.after.push(Box::new(act));
    }
}

/// A head's new root, and what it left behind.
pub struct Written {
    head: Arc<Head>,
    state: State,
    dead: Vec<Dead>,
    dirty_len: u64,
}

/// The part of dirty memory that makes a head's own a large one, when it is written back.
const LARGE_PART: u64 = 4;

impl Core {
    /// Writes what heads had beyond their roots, as part of commit `birth`. Nothing refers to it until that is published.
    pub fn write_back(&self, heads: Vec<Frozen>, birth: Birth) -> Result<Vec<Written>> {
        let writer = CommitWriter::new(&self.store, birth);
        heads.into_iter().map(|frozen| self.write_head(frozen, &writer, birth)).collect()
    }

    /// Makes commit `birth` durable: heads that were written back, verbs, and where the log goes on.
    pub fn publish(
        &self,
        committed: &mut Committed,
        birth: Birth,
        written: &[Written],
        jobs: Vec<Act>,
        (log, cuts): (LogPosition, Cuts),
        now: Timestamp,
    ) -> Result<()> {
        let (system, after) = self.change_catalog(committed, written, jobs, birth)?;
        let at = now.max(committed.at);
        let next = Committed { birth, system, log, cuts, at, idle: committed.idle, reserved: committed.reserved };
        let account = self.write_roots(&next, self.epoch.oldest().min(committed.birth))?;
        self.install(written);
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
            hurried: dirty_len >= self.budgets.dirty / LARGE_PART && self.pressed.swap(false, Ordering::Relaxed),
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
        jobs: Vec<Act>,
        birth: Birth,
    ) -> Result<(Root, Vec<After>)> {
        let mut catalog = self.catalog.write();
        self.catalog_birth.store(birth.0, Ordering::Release);
        let account = self.store.account();
        let mut free = |dead: &Dead| account.free(birth, dead.id, dead.first, dead.count);
        for Written { head, state, dead, .. } in written {
            catalog.set_head(head.dataset, *state)?;
            self.retire(&mut catalog, &committed.system, head, dead, &mut free)?;
        }
        let (system, beside, after) = (committed.system, Vec::new(), Vec::new());
        let mut change = Change { core: self, catalog: &mut catalog, birth, system, beside, after };
        jobs.into_iter().for_each(|job| job(&mut change));
        let Change { beside, after, .. } = change;
        let edits = [catalog.take_edits(), beside].concat();
        let mut dead = Vec::new();
        let system = apply(&CommitWriter::new(&self.store, birth), &committed.system, edits, birth, &mut dead)?.root;
        dead.iter().try_for_each(free)?;
        Ok((system, after))
    }

    /// Gives the catalog what an edit of a head's tree left behind.
    fn retire(
        &self,
        catalog: &mut Catalog,
        system: &Root,
        head: &Head,
        dead: &[Dead],
        free: &mut dyn FnMut(&Dead) -> Result<()>,
    ) -> Result<()> {
        if catalog.shares(head.dataset, dead)?
            && let Err(error) = Catalog::check_end(&*self.store, system, catalog.list(head.holder)?)
            && error.kind() == ErrorKind::Corrupt
        {
            // Else no commit would go well that overwrites something of this dataset.
            let problem = format!("what is overwritten keeps its space: {}", told(&error));
            self.note_damage(Damage { dataset: catalog.full_name(head.holder), ..Damage::of_the_pool(problem) });
            return catalog.retire_own(head.dataset, dead, free);
        }
        catalog.retire(head.dataset, dead, free)
    }

    fn write_roots(&self, next: &Committed, fold_up_to: Birth) -> Result<AccountState> {
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
                cuts: next.cuts.clone(),
            };
            payload.superblock(self.id)
        };
        let copy_len = Superblock::copy_len(Payload::len_max(&next.cuts));
        let state = write_with_copy(account, fold_up_to, next.birth, (copy_len, &superblock))?;
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

/// Writes what the account has of commit `birth`, and last a copy of its superblock, of so many bytes; and makes both streams
/// durable.
pub fn write_with_copy(
    account: &Account,
    fold_up_to: Birth,
    birth: Birth,
    (length, superblock): (usize, &dyn Fn(&AccountState) -> Superblock),
) -> Result<AccountState> {
    let copy = |state: &AccountState, at: Place| superblock(state).encode_copy(at.segment, at.offset, at.end());
    let mark = Mark { length: length as u32, make: &copy };
    let state = account.commit(birth, fold_up_to, Some(mark))?;
    account.segments().flush()?;
    Ok(state)
}
