//! Work that waits for idle time, in steps that a budget bounds.

use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::{orphans, plan_reap};
use crate::pool::Progress;
use crate::pool::change::Promise;
use crate::pool::core::Core;
use crate::pool::head::Head;
use crate::reclaim::{self, Ahead, Sources};
use crate::scrub::{Damage, told};
use crate::tree::Dead;

/// Bytes of an orphan that one record gives back.
const REAP_LEN: u64 = 64 << 20;
/// Orphans looked for at once.
const ORPHANS_AT_ONCE: usize = 64;

impl Core {
    /// Frees what destroyed datasets and snapshots held, and reaps orphans.
    pub fn reclaim_step(&self, budget: u64, now: Timestamp) -> Result<Progress> {
        self.check()?;
        let mut damage = std::mem::take(&mut *self.found.lock());
        let reaped = self.reap(budget, now, &mut damage)?;
        let (read, is_needed) = self.read_ahead(budget)?;
        if !is_needed {
            return Ok(Progress { done: reaped + read, idle: reaped + read == 0, damage });
        }
        let step = self.submit(Vec::new(), now, move |change| {
            let core = change.core;
            let account = core.store.account();
            let birth = change.birth;
            let mut free = |dead: &Dead| account.free(birth, dead.id, dead.first, dead.count);
            let sources = Sources { nodes: &*core.store, system: &change.system };
            // Another thread reads for it just now: then that one's step goes on.
            let Some(mut sifter) = core.sifter.try_lock() else { return Ok(reclaim::Progress::default()) };
            reclaim::step(change.catalog, &mut sifter, sources, budget, &mut free)
        })?;
        if step.idle {
            // Else a commit folds a few pages at a time, and the space of what is gone comes back as slowly.
            self.store.account().hurry();
        }
        damage.extend(step.damage.iter().map(|error| {
            Damage::of_the_pool(format!("a part of what was destroyed keeps its space: {}", told(error)))
        }));
        Ok(Progress { done: step.done + reaped + read, idle: step.idle && reaped == 0, damage })
    }

    /// Reads what is to be known before the next commit: while that is made, nobody else gets on. Returns about how many pointers
    /// were read, and whether a commit has something to do.
    fn read_ahead(&self, budget: u64) -> Result<(u64, bool)> {
        let mut sifter = self.sifter.lock();
        {
            let catalog = self.catalog.read();
            if !catalog.has_jobs() && sifter.is_idle(&catalog) {
                sifter.calm();
                return Ok((0, false));
            }
        }
        let asked = self.ask(|catalog| Ok((sifter.aim(catalog)?, Ahead::new(catalog)?)))?;
        let (aim, ahead) = asked.answer;
        let sources = Sources { nodes: &*self.store, system: &asked.roots.system };
        ahead.read(sources, budget)?;
        let read = sifter.read(aim, sources, budget)?;
        Ok((read, sifter.needs_commit(aim)))
    }

    /// Saves the index of stored blocks, for the next opening. Where that fails nothing but space is lost, so nobody is
    /// told, and what was committed is committed.
    pub fn save_index(&self) {
        let _ = self.store.finder().save(&*self.media, self.id, self.margin());
    }

    /// The same, once much is new in it.
    pub fn save_index_when_due(&self) {
        let _ = self.store.finder().save_when_due(&*self.media, self.id, self.margin());
    }

    /// Gives back orphans that nobody has open. Returns how many records that took. A damaged tree keeps its orphans, and
    /// others from nothing.
    fn reap(&self, budget: u64, now: Timestamp, damage: &mut Vec<Damage>) -> Result<u64> {
        let due: Vec<Arc<Head>> = self.heads.lock().values().filter(|head| head.reap_due()).cloned().collect();
        let mut done = 0;
        for head in due {
            while done < budget {
                // Cleared first: an orphan that comes meanwhile sets it again.
                head.set_reap_due(false);
                let records = match self.reap_some(&head, now) {
                    Err(error) if matches!(error.kind(), ErrorKind::ReadOnly | ErrorKind::Stale) => 0,
                    Err(error) if error.kind() == ErrorKind::Busy => {
                        head.set_reap_due(true);
                        0
                    }
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        let dataset = self.catalog.read().full_name(head.holder);
                        let problem = format!("a removed file keeps its space: {}", told(&error));
                        damage.push(Damage { dataset, ..Damage::of_the_pool(problem) });
                        0
                    }
                    other => other?,
                };
                if records == 0 {
                    break;
                }
                head.set_reap_due(true);
                done += records;
            }
        }
        Ok(done)
    }

    fn reap_some(&self, head: &Arc<Head>, now: Timestamp) -> Result<u64> {
        let found = {
            let (_pin, present) = self.view(head)?;
            orphans(&present.layers, InodeNumber(0), ORPHANS_AT_ONCE)?
        };
        let mut done = 0;
        for inode in found {
            if head.is_retained(inode) {
                continue;
            }
            self.make_room_for(head, 0, now)?;
            let _gate = self.gate.read();
            let mut operations = head.operate()?;
            let (_pin, present) = self.view(head)?;
            if !head.is_retained(inode) {
                let record = plan_reap(&present.layers, inode, REAP_LEN)?;
                self.apply(head, &mut operations, &present, &record, Promise::Nothing)?;
                done += 1;
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
