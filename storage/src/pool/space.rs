//! Figures: what is stored, what is logical, and what was done.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::pool::core::Core;
use crate::pool::{Counters, PoolSpace};

impl Core {
    /// What the pool's files hold.
    pub fn space(&self) -> Result<PoolSpace> {
        let totals = self.store.account().totals();
        Ok(PoolSpace { live: totals.live, stored: totals.stored, free: self.free()?, logical: 0, awaiting: 0 })
    }

    /// What destroying a dataset or snapshot would free.
    pub fn would_free(&self, _name: &str) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "what a destroy would free is not known yet"))
    }

    /// Counters since the pool was opened.
    pub fn counters(&self) -> Counters {
        let (blocks, nodes) = (self.store.block_cache(), self.store.node_cache());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            commits: read(&self.tally.commits),
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
