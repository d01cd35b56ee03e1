//! Verification of stored bytes a piece at a time, again and again.
//!
//! Invariant: a commit is pinned only within a step, so between steps everything comes back that is freed. A step sees
//! the slot table as the last commit left it; what was written behind the place where the pass is, the next pass reads.

use crate::error::Result;
use crate::format::SlotId;
use crate::pool::Progress;
use crate::pool::core::Core;
use crate::pool::view::Latest;
use crate::scrub::{Damage, check_piece, told};

/// What scrubbing remembers between steps.
#[derive(Debug, Default)]
pub struct Scrubbing {
    /// Where the pass goes on; `None`: it has not begun.
    next: Option<SlotId>,
}

impl Core {
    /// Reads and checks up to about `budget` stored bytes. It is idle when a pass has ended; the next step begins another.
    pub fn scrub_step(&self, budget: u64) -> Result<Progress> {
        let mut scrubbing = self.scrubbing.lock();
        let (pin, roots) = self.committed_roots()?;
        let account = self.store.account();
        let piece =
            check_piece(&self.store, &account.view(&roots.account), scrubbing.next.unwrap_or(SlotId(0)), budget)?;
        scrubbing.next = piece.next;
        let mut damage = Vec::new();
        let idle = piece.next.is_none();
        if idle {
            damage.extend(self.scrub_account(&roots));
            damage.extend(self.verify_superblock(roots.birth.0)?);
        }
        if !piece.findings.is_empty() {
            let view = self.view_of(pin, roots)?;
            damage.extend(piece.findings.damage_of_referred(view.scene(self)));
        }
        Ok(Progress { done: piece.bytes, idle, damage })
    }

    /// Reads what the account has beside the slot table.
    fn scrub_account(&self, roots: &Latest) -> Vec<Damage> {
        let view = self.store.account().view(&roots.account);
        let usage = view.usage().err().map(|error| format!("the account's pages are damaged: {}", told(&error)));
        let log = view.pending().err().map(|error| format!("the free log is damaged: {}", told(&error)));
        [usage, log].into_iter().flatten().map(Damage::of_the_pool).collect()
    }
}

#[cfg(test)]
mod tests;
