//! The intent log: opaque records promised since the last commit, in one preallocated ring.
//!
//! Invariants: records become durable in the order in which they were appended, so what a crash
//! leaves is a beginning of them that holds every record whose wait returned; and nothing is
//! overwritten before it was released.
//!
//! Records gather in a group in memory. Whoever waits first writes all that has gathered and flushes
//! once; those who come meanwhile form the next group. The log owns no thread.

mod codec;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod group;
mod replay;
mod ring;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Checksum, PoolId};
use crate::intent::group::Group;
use crate::intent::ring::{PAGE_LEN, Ring};
use crate::media::{BufferPool, Media};
use crate::sync::{Condvar, Mutex, MutexGuard};

pub use codec::LogPosition;

/// The file that holds the ring.
pub const INTENT_NAME: &str = "intent";

/// The smallest ring, in bytes.
pub const INTENT_LEN_MIN: u64 = 64 << 10;

/// Most bytes in a group: one huge page.
const GROUP_LEN_MAX: u64 = 2 << 20;

/// When more than this waits in memory for a flush, in bytes, whoever appends flushes.
const UNFLUSHED_LEN_MAX: u64 = 8 << 20;

/// Names the group that a record is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a record is durable only after a wait for its ticket"]
pub struct Ticket(u64);

impl Ticket {
    /// The number of that group.
    pub fn sequence(self) -> u64 {
        self.0
    }
}

/// A record that was found in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The number of its group, which tells whether it came before a [`LogPosition`].
    pub sequence: u64,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// The log of an open pool.
pub struct IntentLog {
    ring: Ring,
    pool: PoolId,
    buffers: Arc<BufferPool>,
    state: Mutex<State>,
    /// A flush ended, well or badly.
    flush_ended: Condvar,
}

struct State {
    /// The group that takes records now.
    open: Group,
    /// The hash of the last sealed group.
    chain: Checksum,
    /// Groups that wait to be written, oldest first.
    sealed: VecDeque<Group>,
    /// The emptied queue of the last flush, for the next one.
    spare: VecDeque<Group>,
    /// Bytes in groups that are sealed and not flushed.
    unflushed: u64,
    /// The last group that is durable.
    flushed: u64,
    /// Ring space before this offset may be overwritten.
    released: u64,
    flushing: bool,
    poisoned: bool,
    flushes: u64,
    written: u64,
}

impl IntentLog {
    /// Makes the file, written all over once: flushing written blocks is cheaper than allocating them.
    /// Its first position is [`LogPosition::START`].
    pub fn create(media: &dyn Media, size: u64) -> Result<()> {
        if size < INTENT_LEN_MIN || !size.is_multiple_of(PAGE_LEN) {
            let message = format!("an intent log has at least {INTENT_LEN_MIN} bytes, in pages of {PAGE_LEN}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let write = || {
            let file = media.create(INTENT_NAME, size)?;
            let mut zeros = BufferPool::new(0).take(GROUP_LEN_MAX.min(size) as usize);
            zeros.fill(0);
            for offset in (0..size).step_by(zeros.len()) {
                let len = (size - offset).min(zeros.len() as u64);
                file.write_at(&zeros[..len as usize], offset)?;
            }
            file.flush()?;
            media.sync_directory()
        };
        write().map_err(|error: Error| error.during("cannot create the intent log"))
    }

    /// Gives memory back that is only kept to be used again.
    pub fn release_memory(&self) {
        self.buffers.release();
    }

    /// Opens the log and returns the records from `from` on, in order, all of them durable. `Corrupt` if
    /// one is damaged that a flush had made durable; a damaged end is what power loss leaves.
    ///
    /// `pool` marks groups as this log's. Derived from the pool's secret, it also keeps a record's own
    /// bytes, which users may choose, from passing for a group when the rest of their group was torn.
    pub fn open(media: &dyn Media, pool: PoolId, from: LogPosition) -> Result<(Self, Vec<Logged>)> {
        let act = "cannot open the intent log";
        let ring = Ring::open(media).map_err(|error| error.during(act))?;
        let group_len = group_len_max(&ring);
        let buffers = BufferPool::new(4 * GROUP_LEN_MAX as usize);
        let replayed = replay::replay(&ring, pool, from, group_len).map_err(|error| error.during(act))?;
        let end = replayed.end;
        let state = State {
            open: Group::new(buffers.take(group_len as usize), end.offset, end.sequence),
            chain: end.previous,
            sealed: VecDeque::new(),
            spare: VecDeque::new(),
            unflushed: 0,
            flushed: end.sequence - 1,
            released: from.offset,
            flushing: false,
            poisoned: false,
            flushes: 0,
            written: 0,
        };
        let log = Self { ring, pool, buffers, state: Mutex::new(state), flush_ended: Condvar::new() };
        Ok((log, replayed.records))
    }

    /// The records that [`IntentLog::open`] would return, for who is to decide whether to open the log from there: changes
    /// nothing. `Corrupt` also where the ring was written over since, so that there were more records.
    pub fn look(media: &dyn Media, pool: PoolId, from: LogPosition) -> Result<Vec<Logged>> {
        let look = || {
            let ring = Ring::open(media)?;
            replay::look(&ring, pool, from, group_len_max(&ring)).map(|replayed| replayed.records)
        };
        look().map_err(|error: Error| error.during("cannot read the intent log"))
    }

    /// Most bytes that a record may have.
    pub fn record_len_max(&self) -> usize {
        self.state.lock().open.record_len_max()
    }

    /// Puts a record after all others. It is durable once [`IntentLog::wait`] returns for the ticket.
    /// `Busy` when the ring is full: commit, [`IntentLog::release`], and append again.
    pub fn append(&self, record: &[u8]) -> Result<Ticket> {
        let mut state = self.state.lock();
        if record.len() > state.open.record_len_max() {
            let message = format!("a record of {} bytes does not fit the intent log", record.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        loop {
            state.check()?;
            if state.open.fits(record) {
                if state.open.end_with(record) - state.released > self.ring.size() {
                    return Err(Error::new(ErrorKind::Busy, "the intent log is full until the next commit"));
                }
                state.open.push(record);
                return Ok(Ticket(state.open.sequence()));
            }
            if state.unflushed < UNFLUSHED_LEN_MAX {
                self.seal(&mut state);
            } else {
                self.flush_or_follow(&mut state)?;
            }
        }
    }

    /// Returns when the record of `ticket`, and with it every earlier one, is durable. `Poisoned` if a
    /// write or flush failed before that.
    pub fn wait(&self, ticket: Ticket) -> Result<()> {
        let mut state = self.state.lock();
        while state.flushed < ticket.0 {
            state.check()?;
            self.flush_or_follow(&mut state)?;
        }
        Ok(())
    }

    /// The position after everything appended so far, without waiting for any of it: opening from here
    /// returns only later records.
    pub fn position(&self) -> LogPosition {
        let mut state = self.state.lock();
        self.seal(&mut state);
        LogPosition { offset: state.open.offset(), sequence: state.open.sequence(), previous: state.chain }
    }

    /// Returns when every record before a position is durable. `Poisoned` as with [`IntentLog::wait`].
    pub fn wait_before(&self, position: &LogPosition) -> Result<()> {
        self.wait(Ticket(position.sequence - 1))
    }

    /// Lets the ring overwrite what is before `position`: no superblock that may still be opened needs it.
    pub fn release(&self, position: LogPosition) {
        let mut state = self.state.lock();
        assert!(position.offset <= state.open.offset(), "only what was appended can be released");
        state.released = state.released.max(position.offset);
    }

    /// Bytes of the ring that are not released.
    pub fn used_bytes(&self) -> u64 {
        let state = self.state.lock();
        state.open.end() - state.released
    }

    /// Whether it is time for a commit.
    pub fn half_full(&self) -> bool {
        self.used_bytes() >= self.ring.size() / 2
    }

    /// Flushes since the log was opened.
    pub fn flushes(&self) -> u64 {
        self.state.lock().flushes
    }

    /// Bytes written since the log was opened.
    pub fn written_bytes(&self) -> u64 {
        self.state.lock().written
    }

    /// Closes the open group, if it has records, and begins the next.
    fn seal(&self, state: &mut State) {
        if state.open.is_empty() {
            return;
        }
        state.chain = state.open.seal(self.pool, state.flushed, state.chain);
        let next = Group::new(self.buffers.take(state.open.capacity()), state.open.end(), state.open.sequence() + 1);
        let sealed = std::mem::replace(&mut state.open, next);
        state.unflushed += sealed.padded_len();
        state.sealed.push_back(sealed);
    }

    /// Writes and flushes all that was appended; or, when another caller does so already, waits for it
    /// to end. The caller looks again afterwards.
    fn flush_or_follow(&self, state: &mut MutexGuard<'_, State>) -> Result<()> {
        if state.flushing {
            self.flush_ended.wait(state);
            return Ok(());
        }
        self.seal(state);
        let spare = std::mem::take(&mut state.spare);
        let mut groups = std::mem::replace(&mut state.sealed, spare);
        let (last, len) = (state.open.sequence() - 1, state.unflushed);
        state.flushing = true;
        let outcome = MutexGuard::unlocked(state, || {
            let outcome = self.write_out(&groups);
            groups.clear();
            outcome
        });
        state.flushing = false;
        state.spare = groups;
        if outcome.is_ok() {
            state.flushed = last;
            state.unflushed -= len;
            state.flushes += 1;
            state.written += len;
        } else {
            state.poisoned = true;
        }
        self.flush_ended.notify_all();
        outcome.map_err(|error| Error::because(ErrorKind::Poisoned, "cannot write the intent log", error))
    }

    fn write_out(&self, groups: &VecDeque<Group>) -> Result<()> {
        for group in groups {
            self.ring.write(group.bytes(), group.offset())?;
        }
        self.ring.flush()
    }
}

fn group_len_max(ring: &Ring) -> u64 {
    GROUP_LEN_MAX.min(ring.size() / 2 / PAGE_LEN * PAGE_LEN)
}

impl State {
    fn check(&self) -> Result<()> {
        if self.poisoned { Err(ErrorKind::Poisoned.into()) } else { Ok(()) }
    }
}

impl std::fmt::Debug for IntentLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IntentLog with {} of {} bytes used", self.used_bytes(), self.ring.size())
    }
}

#[cfg(test)]
mod tests;
