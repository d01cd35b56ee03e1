//! Whether there is room for a change: in dirty memory, in the dataset's quota, and on the host.
//!
//! A write that is accepted can be committed: what the commit needs beyond the dirty bytes comes out of
//! the reserve, which only commits, destroys and cleaning use.

use crate::error::{Error, ErrorKind, Result};
use crate::format::Timestamp;
use crate::pool::core::Core;
use crate::pool::head::{Head, Present};
use crate::sync::Ordering;

/// The part of dirty memory that heads may take beyond it which have no more than half of that themselves: so one that is
/// written as fast as it goes does not hold up the others.
const BEYOND_PART: u64 = 8;

impl Core {
    /// Waits until dirty memory takes `more` bytes of a head; `NoSpace` if the host would not.
    pub fn make_room_for(&self, head: &Head, more: u64, now: Timestamp) -> Result<()> {
        let (limit, beyond) = (self.budgets.dirty, self.budgets.dirty / BEYOND_PART);
        let is_full = self.dirty() + more > limit;
        let is_small = is_full && head.present().layers.dirty_bytes() + more <= beyond / 2;
        self.await_memory(more, if is_small { limit + beyond } else { limit }, now)?;
        self.find_space(more, now)
    }

    /// The same for what belongs to no head yet.
    pub fn make_room(&self, more: u64, now: Timestamp) -> Result<()> {
        self.await_memory(more, self.budgets.dirty, now)?;
        self.find_space(more, now)
    }

    fn await_memory(&self, more: u64, limit: u64, now: Timestamp) -> Result<()> {
        self.check()?;
        while self.dirty() > 0 && self.dirty() + more > limit {
            self.pressed.store(true, Ordering::Relaxed);
            // A commit that is under way may be all it takes.
            let seen = {
                let _flight = self.flight.lock();
                self.last_cut.load(Ordering::Acquire)
            };
            if self.dirty() + more > limit {
                self.commit_if_none_since(seen, now)?;
            }
        }
        Ok(())
    }

    fn find_space(&self, more: u64, now: Timestamp) -> Result<()> {
        if more == 0 || self.fits(more)? {
            return Ok(());
        }
        // What only saves space goes before what somebody might want back.
        if self.store.finder().give_up_saved(&*self.media) && self.fits(more)? {
            return Ok(());
        }
        self.empty_bin(now)?;
        match self.fits(more)? {
            true => Ok(()),
            false => {
                Err(Error::new(ErrorKind::NoSpace, "the pool is full: destroy snapshots or datasets, or add disk"))
            }
        }
    }

    /// Whether dirty memory or the intent log ask for a commit.
    pub fn commit_due(&self) -> bool {
        self.dirty() >= self.budgets.dirty / 2 || self.log.half_full()
    }

    fn fits(&self, more: u64) -> Result<bool> {
        let dirty = self.dirty_len.load(Ordering::Relaxed) + more;
        Ok(self.media.space()?.free >= dirty + dirty / 8 + self.margin())
    }

    /// What is kept free beside the reserve: a segment for each stream, and one for what cleaning moves.
    pub fn margin(&self) -> u64 {
        3 * u64::from(self.store.account().segments().options().segment_len)
    }

    /// Ends the wait of destroyed datasets and snapshots, oldest first, until there is room or none is left.
    fn empty_bin(&self, now: Timestamp) -> Result<()> {
        // Whoever writes to a full pool asks for this each time: once is enough until something was committed.
        let nothing_to_purge = self.catalog.read().oldest_destroyed().is_none();
        if nothing_to_purge && self.last_cut.load(Ordering::Acquire) <= self.settled.load(Ordering::Acquire) {
            return Ok(());
        }
        self.store.account().hurry();
        loop {
            self.sifter.lock().hurry();
            while !self.reclaim_step(1 << 20, now)?.idle {}
            let oldest = self.catalog.read().oldest_destroyed();
            let Some(oldest) = oldest else { return self.settle(now) };
            let before = Timestamp { seconds: oldest.seconds, nanoseconds: oldest.nanoseconds + 1 };
            self.purge(before, now)?;
            self.sifter.lock().hurry();
            while !self.reclaim_step(1 << 20, now)?.idle {}
            self.settle(now)?;
            if self.fits(1 << 20)? {
                return Ok(());
            }
        }
    }

    /// Has what was freed given back: the commit after the one that freed it, and the one after that.
    fn settle(&self, now: Timestamp) -> Result<()> {
        (0..3).try_for_each(|_| self.commit(now))?;
        self.settled.store(self.last_cut.load(Ordering::Acquire), Ordering::Release);
        Ok(())
    }
}

impl Head {
    /// Fails with `Quota` if `more` bytes are more than the dataset may have allocated.
    pub fn check_quota(&self, present: &Present, more: i64) -> Result<()> {
        let quota = self.properties().quota.filter(|_| more > 0);
        match quota {
            Some(quota) if present.allocated_bytes().saturating_add_signed(more) > quota => {
                Err(Error::new(ErrorKind::Quota, "the dataset's quota is used up: raise it, or remove files"))
            }
            _ => Ok(()),
        }
    }
}
