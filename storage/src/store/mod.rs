//! Reads of nodes and blocks through caches, and writes of nodes: what trees and files stand on.
//!
//! Invariant: nothing leaves here that was not proven against the hash that its pointer carries, so a
//! cache answers with what the disk would have to answer.

mod bench;
mod blocks;
mod fetch;
mod nodes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::account::Account;
use crate::cache::Cache;
use crate::dedup::Finder;
use crate::error::Result;
use crate::executor::Executor;
use crate::extent::{Compressor, PlainBlock};
use crate::format::{BlockHash, SlotId};
use crate::store::bench::Benches;
use crate::sync::{AtomicU64, Ordering};
use crate::tree::Node;

pub use nodes::CommitWriter;

/// Plain blocks by extent and index, with their hashes.
type BlockCache = Cache<(SlotId, u8), (BlockHash, PlainBlock)>;

/// An account with caches before it.
pub struct Store {
    account: Account,
    nodes: Cache<SlotId, Arc<Node>>,
    blocks: BlockCache,
    executor: Arc<dyn Executor>,
    benches: Benches,
    finder: Finder,
    /// Extents read from the disk.
    fetched: AtomicU64,
}

/// What a cache did so far, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Questions that it could answer.
    pub hits: u64,
    /// Questions that it could not.
    pub misses: u64,
    /// Bytes that it holds now.
    pub used: u64,
}

impl Store {
    /// A store on `account`, whose caches hold at most so many bytes of nodes and of plain blocks.
    pub fn new(account: Account, executor: Arc<dyn Executor>, nodes_budget: u64, blocks_budget: u64) -> Self {
        let (nodes, blocks) = (Cache::new(nodes_budget), Cache::new(blocks_budget));
        account.segments().write_behind(&executor);
        Self {
            account,
            nodes,
            blocks,
            executor,
            benches: Benches::default(),
            finder: Finder::new(0),
            fetched: AtomicU64::new(0),
        }
    }

    /// The same, with an index of at most `budget` bytes for finding blocks that are stored already.
    #[must_use]
    pub fn with_finder(self, budget: u64) -> Self {
        Self { finder: Finder::new(budget), ..self }
    }

    /// Finds blocks that are stored already.
    pub fn finder(&self) -> &Finder {
        &self.finder
    }

    /// Where extents and nodes lie.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What runs many jobs at once.
    pub fn executor(&self) -> &dyn Executor {
        &*self.executor
    }

    /// Calls `act` with contexts for sealing and opening extents, which nobody else uses meanwhile. Fails as `act`
    /// does, or with `Io` if the host has no memory for more contexts.
    pub fn with_compressor<T>(&self, act: impl FnOnce(&mut Compressor) -> Result<T>) -> Result<T> {
        self.benches.with(|bench| act(&mut bench.compressor))
    }

    /// What the cache of nodes does.
    pub fn node_cache(&self) -> CacheCounts {
        let cache = &self.nodes;
        CacheCounts { hits: cache.hits(), misses: cache.misses(), used: cache.used() }
    }

    /// What the cache of plain blocks does.
    pub fn block_cache(&self) -> CacheCounts {
        let cache = &self.blocks;
        CacheCounts { hits: cache.hits(), misses: cache.misses(), used: cache.used() }
    }

    /// Extents that were read from the disk because the cache did not have what was wanted of them; it only grows.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// Has each cache take a `part`th of its budget at most, for now, and gives back what is only kept to be used again.
    pub fn shrink(&self, part: u64) {
        self.nodes.shrink(part);
        self.blocks.shrink(part);
        self.account.shrink(part);
        self.benches.clear();
    }

    /// Forgets everything cached: what is read next comes from the disk.
    pub fn clear_caches(&self) {
        self.nodes.clear();
        self.blocks.clear();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("nodes", &self.nodes).field("blocks", &self.blocks).finish_non_exhaustive()
    }
}
