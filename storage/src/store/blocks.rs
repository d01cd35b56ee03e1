//! Plain blocks: each extent is fetched and decoded once for all that a call wants of it.
//!
//! Invariant: a cached block's hash was computed from its bytes, and is compared with the pointer's on every hit.

use std::sync::Arc;

use crate::error::Result;
use crate::executor::share;
use crate::extent::PlainBlock;
use crate::format::{BlockHash, SlotId};
use crate::store::Store;
use crate::store::fetch::{Got, Wanted};
use crate::tree::BlockPointer;

/// What an entry of the cache takes beside its bytes.
const ENTRY_LEN: u64 = 128;

impl Store {
    /// Calls `found` with the bytes of each block of `pointers`, and its place in that list, in any order. A
    /// block of another length than `block_len` is damage. After an error some were found, and others not.
    pub fn read_blocks(
        self: &Arc<Self>,
        pointers: &[BlockPointer],
        block_len: u32,
        found: &mut dyn FnMut(usize, &PlainBlock),
    ) -> Result<()> {
        let mut missing: Vec<Wanted> = Vec::new();
        for (which, pointer) in pointers.iter().enumerate() {
            match self.blocks.get(&(pointer.id, pointer.index)) {
                Some((hash, bytes)) if hash == pointer.hash && bytes.len() == block_len as usize => {
                    found(which, &bytes);
                }
                _ => missing.push((which, *pointer)),
            }
        }
        missing.sort_by_key(|(_, pointer)| (pointer.id, pointer.index));
        self.fetch_all(&missing, block_len, &mut |blocks| {
            blocks.iter().for_each(|(which, bytes)| found(*which, bytes));
        })
    }

    /// Reads blocks that are in order of ids; several threads do where there is much.
    fn fetch_all(self: &Arc<Self>, missing: &[Wanted], block_len: u32, found: &mut dyn FnMut(&[Got])) -> Result<()> {
        let is_one = missing.iter().all(|(_, pointer)| pointer.id == missing[0].1.id);
        if is_one {
            // The usual case of who reads at random.
            let blocks = match missing {
                [] => return Ok(()),
                wanted => self.benches.with(|bench| self.fetch(wanted, block_len, bench))?,
            };
            found(&blocks);
            return Ok(());
        }
        let (store, spans) = (Arc::clone(self), self.spans(missing, block_len));
        let (count, mut outcome) = (spans.len(), Ok(()));
        let job = move |number: usize| store.benches.with(|bench| store.fetch_span(&spans[number], block_len, bench));
        share(self.executor(), count, job, |fetched| match fetched {
            Ok(blocks) => found(&blocks),
            Err(error) if outcome.is_ok() => outcome = Err(error),
            Err(_) => {}
        });
        outcome
    }

    /// Reads those of `pointers` into the cache that are not there, for whoever may ask for them soon. Returns whether there were any. What
    /// cannot be read is left to them.
    pub fn fetch_ahead(&self, pointers: &[BlockPointer], block_len: u32) -> bool {
        let is_missing = |pointer: &&BlockPointer| !self.blocks.contains(&(pointer.id, pointer.index));
        let mut missing: Vec<Wanted> = pointers.iter().filter(is_missing).map(|pointer| (0, *pointer)).collect();
        missing.sort_by_key(|(_, pointer)| (pointer.id, pointer.index));
        for span in self.spans(&missing, block_len) {
            let _ = self.benches.with(|bench| self.fetch_span(&span, block_len, bench));
        }
        !missing.is_empty()
    }

    /// Keeps a block that was just written.
    pub fn keep_block(&self, id: SlotId, index: u8, hash: BlockHash, bytes: PlainBlock) {
        let weight = bytes.len() as u64 + ENTRY_LEN;
        self.blocks.insert((id, index), (hash, bytes), weight);
    }
}
