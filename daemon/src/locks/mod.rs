//! Byte-range locks of all fronts, so that a lock taken through one holds against the others. No protocol is known here.
//!
//! An owner has a part of a file shared or alone; what it asks for replaces what it has there, as `fcntl` does. Who waits
//! is served in the order in which they came: nobody overtakes one that waits for the same bytes, unless that one in turn
//! waits for the overtaker. `flock` is a lock of the whole file by an owner of its own.
//!
//! Invariant: no two owners hold the same byte unless both share it. Whoever waits is told once how that ended. Memory is
//! bounded by [`Limits`], and nobody is called while the table is locked.

mod claim;
mod file;
mod metrics;
mod range;
mod table;
mod waits;

use std::sync::Arc;

pub use crate::locks::claim::{Claim, Client, File, Kind, Owner};
pub use crate::locks::range::Range;
pub use crate::locks::table::{ClientLocks, Counters, Listed, Locks};

/// What the table holds at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Locks, held and waited for, of all clients.
    pub locks: usize,
    /// Those of one client.
    pub locks_per_client: usize,
    /// Clients.
    pub clients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { locks: 128 << 10, locks_per_client: 32 << 10, clients: 4096 }
    }
}

/// What becomes of a request for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is held.
    Granted,
    /// Another holds one of these bytes.
    Denied(Box<Claim>),
    /// It will be held in its turn, which its [`Waiter`] is told; perhaps before this is returned.
    Waiting,
    /// To wait for it would be to wait for oneself.
    Deadlock,
    /// There are too many locks.
    Full,
    /// Only locks from before the restart are taken at this time; or, if it was one of those, they no longer are.
    Grace,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The lock is held now.
    Granted,
    /// The lock was released, its file is gone, or there are too many.
    Dropped,
}

/// Who is told how a wait ended. Not told what it ended itself by [`Locks::cancel`].
pub trait Waiter: Send + Sync {
    /// The wait for this has ended. Called by whichever thread ended it: hand on what takes time.
    fn ended(&self, claim: &Claim, end: End);
}

/// Whether a request waits for its turn.
#[derive(Clone)]
pub enum Wait {
    /// It is denied at once.
    No,
    /// It waits, and the waiter is told.
    Until {
        /// Requests for the same lock with the same number are one that is asked again: the last waiter is told.
        number: u64,
        /// Who is told.
        waiter: Arc<dyn Waiter>,
    },
}

#[cfg(test)]
mod tests;
