//! One change of a head: planned, logged, applied.
//!
//! Invariant: records are logged in the order in which they are applied, and none is applied that the
//! log did not take; so replaying the log gives what was promised.

use std::sync::Arc;

use crate::content::Edit;
use crate::error::{ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::{self, CallId, Outcome, Plan, Record};
use crate::intent::Ticket;
use crate::pool::core::Core;
use crate::pool::head::{Head, Operations, Present};
use crate::pool::record;
use crate::sync::Ordering;

/// What the caller of a change is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// It is durable when the call returns, and with it that this call was done.
    Durable(Option<CallId>),
    /// It is in the log, in order, and durable with whatever is next; and with it that this call was done.
    Logged(Option<CallId>),
    /// Nothing.
    Nothing,
    /// It comes out of the log.
    Replayed,
}

/// What a change comes to.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
pub enum Done<T> {
    /// Nothing was to be done.
    Nothing(T),
    /// This was.
    Applied(Outcome),
}

impl Core {
    /// Plans a change on the present state and applies it. `plan` is told the number that a new inode takes;
    /// it is called again when the log was full.
    pub fn change<'r, T>(
        &self,
        head: &Arc<Head>,
        promise: Promise,
        now: Timestamp,
        plan: impl Fn(&fs::Reader<'_>, InodeNumber) -> Result<Plan<'r, T>>,
    ) -> Result<Done<T>> {
        let promise = if head.waits_for_sync() { promise } else { Promise::Nothing };
        loop {
            let seen = self.last_cut.load(Ordering::Acquire);
            match self.try_change(head, promise, &plan) {
                Err(error) if error.kind() == ErrorKind::Busy && self.log_is_full() => {
                    self.commit_if_none_since(seen, now)?;
                }
                Err(error) => return Err(error),
                Ok(None) => self.commit_head_if_none_since(head, seen, now)?,
                Ok(Some((done, ticket))) => {
                    if let (Some(ticket), Promise::Durable(_)) = (ticket, promise) {
                        self.log.wait(ticket).inspect_err(|_| self.poison())?;
                    }
                    return Ok(done);
                }
            }
        }
    }

    /// Whether a record of the largest size would not fit.
    fn log_is_full(&self) -> bool {
        self.log.half_full()
    }

    /// `None` if a commit has to come first.
    fn try_change<'r, T>(
        &self,
        head: &Arc<Head>,
        promise: Promise,
        plan: &impl Fn(&fs::Reader<'_>, InodeNumber) -> Result<Plan<'r, T>>,
    ) -> Result<Option<(Done<T>, Option<Ticket>)>> {
        let _gate = self.gate.read();
        self.check()?;
        let mut operations = head.operate()?;
        let (_pin, present) = self.view(head)?;
        let planned = plan(&fs::Reader::new(&present.layers, &self.names), InodeNumber(operations.next_inode))?;
        let record = match planned {
            // What the answer rests on may be logged and not yet durable.
            Plan::Nothing(answer) => return Ok(Some((Done::Nothing(answer), operations.last_logged))),
            Plan::Record(Record::Create { .. }) if !operations.has_number() => {
                self.note_dirty(head, 0, 0);
                return Ok(None);
            }
            Plan::Record(record) => record,
        };
        let (outcome, ticket) = self.apply(head, &mut operations, &present, &record, promise)?;
        Ok(Some((Done::Applied(outcome), ticket)))
    }

    /// Logs and applies a record. The gate is held shared.
    pub fn apply(
        &self,
        head: &Arc<Head>,
        operations: &mut Operations,
        present: &Present,
        record: &Record<'_>,
        promise: Promise,
    ) -> Result<(Outcome, Option<Ticket>)> {
        let mut edit = Edit::new(&present.layers, promise != Promise::Nothing);
        let outcome = fs::apply(&mut edit, record)?;
        if promise != Promise::Replayed {
            head.check_quota(present, edit.allocated_change())?;
        }
        let ticket = match promise {
            Promise::Nothing | Promise::Replayed => None,
            Promise::Logged(call) | Promise::Durable(call) => {
                Some(self.log.append(&record::encode(head.dataset, call, record))?)
            }
        };
        let before = present.layers.dirty_bytes();
        edit.finish();
        self.note_dirty(head, before, present.layers.dirty_bytes());
        operations.note(&outcome);
        operations.last_logged = ticket.or(operations.last_logged);
        if outcome.orphaned.is_some() {
            head.set_reap_due(true);
        }
        Ok((outcome, ticket))
    }
}

impl Operations {
    /// Keeps count of inodes.
    pub fn note(&mut self, outcome: &Outcome) {
        self.inodes = self.inodes.saturating_add_signed(outcome.inodes);
        if let Some(taken) = outcome.taken {
            self.next_inode = self.next_inode.max(taken.0 + 1);
        }
    }
}
