//! Figures: what is stored, what is logical, and what was done.

use crate::catalog::Holder;
use crate::error::Result;
use crate::format::{Birth, Timestamp};
use crate::pool::clean::LIVE_PERCENT_MAX;
use crate::pool::core::Core;
use crate::pool::shares::{Freed, Shares, bytes};
use crate::pool::view::{Asked, Latest};
use crate::pool::{Backlog, Counters, DatasetSpace, PoolSpace};
use crate::reclaim::{Estimate, Share, Sources};
use crate::sync::{AtomicU64, Ordering};
use crate::tree::{ItemRef, Key, Reader};

/// So many pointers are worth a commit's wait until what they come to is counted anew.
const POINTERS_A_COMMIT: u64 = 1_000;

/// Blocks that several refer to which are remembered at once while it is told what would go: some 50 MiB of memory.
const SHARED_MAX: usize = 1 << 20;

/// What purging all that waits would free, as it was counted last.
#[derive(Debug, Default)]
pub struct Awaiting {
    /// At which commit.
    birth: Birth,
    /// What waited then.
    bin: Vec<(Timestamp, Holder)>,
    /// How many pointers had to be looked at.
    cost: u64,
}

impl Core {
    /// What the pool's files hold. Does not depend on how much that is, as a rule.
    pub fn space(&self) -> Result<PoolSpace> {
        let totals = self.store.account().totals();
        let logical = self.catalog.read().logical();
        let awaiting = self.awaiting()?;
        Ok(PoolSpace { live: totals.live, stored: totals.stored, free: self.free()?, logical, awaiting })
    }

    /// What background steps have yet to do. Takes as long as there are snapshots and segments, and that is a moment.
    pub fn backlog(&self) -> Backlog {
        let account = self.store.account();
        let (reclaims, hidden) = self.catalog.read().backlog();
        Backlog { reclaims, hidden, changes: account.totals().pending, sparse: account.sparse_len(LIVE_PERCENT_MAX) }
    }

    /// What purging all that waits would free; counted anew only when that is worth it, and by one caller at a time.
    fn awaiting(&self) -> Result<u64> {
        let counted = || Ok(self.awaiting_len.load(Ordering::Relaxed));
        let Some(mut last) = self.awaiting.try_lock() else { return counted() };
        let bin = self.catalog.read().awaiting();
        let age = self.epoch.present().0 - last.birth.0;
        if bin == last.bin && (bin.is_empty() || age <= last.cost / POINTERS_A_COMMIT) {
            return counted();
        }
        let asked = self.ask(|catalog| {
            let bin = catalog.awaiting();
            let targets: Vec<Holder> = bin.iter().map(|(_, holder)| *holder).collect();
            Ok((Estimate::new(catalog, &targets)?, bin))
        })?;
        let Asked { answer: (estimate, bin), roots, .. } = &asked;
        let (bytes, cost) = self.add_up(estimate, roots, u64::MAX, SHARED_MAX)?.unwrap_or_default();
        self.awaiting_len.store(bytes, Ordering::Relaxed);
        *last = Awaiting { birth: roots.birth, bin: bin.clone(), cost };
        counted()
    }

    /// What destroying a dataset or snapshot would free; `None` if that takes more than so many pointers to tell.
    pub fn would_free(&self, name: &str, pointers: u64) -> Result<Option<u64>> {
        self.would_free_by_shares(name, pointers, SHARED_MAX)
    }

    /// The same, remembering about so many blocks at a time that several refer to.
    fn would_free_by_shares(&self, name: &str, pointers: u64, shared_max: usize) -> Result<Option<u64>> {
        let asked = self.ask(|catalog| Estimate::new(catalog, &[catalog.resolve(name)?]))?;
        let told = self.add_up(&asked.answer, &asked.roots, pointers, shared_max);
        let told = told.map_err(|error| error.during("find out what a destroy would free"))?;
        Ok(told.map(|(bytes, _)| bytes))
    }

    /// Bytes that go, and how many pointers were looked at for that; `None` if these were to be more than `pointers`.
    fn add_up(
        &self,
        estimate: &Estimate,
        roots: &Latest,
        pointers: u64,
        shared_max: usize,
    ) -> Result<Option<(u64, u64)>> {
        let (mut shares, mut parts, mut looked) = (vec![Share::ALL], 0, 0);
        while let Some(share) = shares.pop() {
            let mut freed = Freed::new(self.store.account(), roots.birth, share, shared_max);
            estimate.for_each(self.sources(roots), &mut |told| {
                freed.note(told)?;
                Ok(looked + freed.pointers() <= pointers && !freed.is_full())
            })?;
            looked += freed.pointers();
            if looked > pointers {
                return Ok(None);
            }
            match freed.is_full() {
                true => shares.extend(share.halves()),
                false => parts += freed.parts(),
            }
        }
        Ok(Some((bytes(parts), looked)))
    }

    fn sources<'a>(&'a self, roots: &'a Latest) -> Sources<'a> {
        Sources { nodes: &*self.store, system: &roots.system }
    }

    /// What a dataset takes.
    pub fn dataset_space(&self, name: &str) -> Result<DatasetSpace> {
        let asked = self.ask(|catalog| {
            let dataset = catalog.find_dataset(name)?;
            let block_size = catalog.properties(dataset)?.block_size;
            Ok((*catalog.state(Holder::Head(dataset))?, catalog.logical_of(dataset), block_size))
        })?;
        let (state, logical, block_size) = asked.answer;
        let mut shares = Shares::new(self.store.account(), asked.roots.birth);
        let mut added = Ok(());
        Reader::new(&*self.store, state.root).scan(Key::MIN, Key::MAX, &mut |_, item| {
            if let ItemRef::Run(run) = item {
                added = shares.add(&run.dead());
            }
            added.is_ok()
        })?;
        added?;
        Ok(DatasetSpace {
            referenced: state.referenced,
            logical,
            exclusive: self.would_free(name, u64::MAX)?.unwrap_or(0),
            plain: shares.blocks() * u64::from(block_size),
            stored: shares.stored(),
            deduplicated: shares.stored().saturating_sub(shares.own()),
        })
    }

    /// Counters since the pool was opened.
    pub fn counters(&self) -> Counters {
        let (blocks, nodes) = (self.store.block_cache(), self.store.node_cache());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            commits: read(&self.tally.commits),
            whole_commits: read(&self.tally.whole_commits),
            log_flushes: self.log.flushes(),
            log_bytes: self.log.written_bytes(),
            segment_bytes: self.store.account().segments().appended_len(),
            written_bytes: read(&self.tally.written_bytes),
            read_bytes: read(&self.tally.read_bytes),
            deduplicated_bytes: read(&self.tally.deduplicated_bytes),
            block_hits: blocks.hits,
            block_misses: blocks.misses,
            node_hits: nodes.hits,
            node_misses: nodes.misses,
        }
    }
}

#[cfg(test)]
mod hour;
#[cfg(test)]
mod tests;
