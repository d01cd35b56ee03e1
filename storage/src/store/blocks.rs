//! Plain blocks: each extent is fetched and decoded once for all that a call wants of it.
//!
//! Invariant: a cached block's hash was computed from its bytes, and is compared with the pointer's on every hit.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::extent::Extent;
use crate::format::{BlockHash, DecodeError, SlotId};
use crate::store::Store;
use crate::store::bench::Bench;
use crate::tree::BlockPointer;

/// What an entry of the cache takes beside its bytes.
const ENTRY_LEN: u64 = 128;

/// A block that the cache could not answer for: its place in the caller's list, and what it wants.
type Wanted = (usize, BlockPointer);
/// A block that was read: its place in the caller's list, and its bytes.
type Got = (usize, Arc<[u8]>);

impl Store {
    /// Calls `found` with the bytes of each block of `pointers`, and its place in that list, in any order. A
    /// block of another length than `block_len` is damage. After an error some were found, and others not.
    pub fn read_blocks(
        &self,
        pointers: &[BlockPointer],
        block_len: u32,
        found: &mut dyn FnMut(usize, &Arc<[u8]>),
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
        missing.chunk_by(|(_, left), (_, right)| left.id == right.id).try_for_each(|wanted| {
            let blocks = self.benches.with(|bench| self.fetch(wanted, block_len, bench))?;
            blocks.iter().for_each(|(which, bytes)| found(*which, bytes));
            Ok(())
        })
    }

    /// Keeps a block that was just written.
    pub fn keep_block(&self, id: SlotId, index: u8, hash: BlockHash, bytes: Arc<[u8]>) {
        let weight = bytes.len() as u64 + ENTRY_LEN;
        self.blocks.insert((id, index), (hash, bytes), weight);
    }

    /// Reads blocks of one extent.
    fn fetch(&self, wanted: &[Wanted], block_len: u32, bench: &mut Bench) -> Result<Vec<Got>> {
        let id = wanted[0].1.id;
        let mut last = None;
        // Twice: it may have been moved between looking it up and reading it.
        for _ in 0..2 {
            self.account.read_extent(id, &mut bench.stored)?;
            let opened = Extent::open(&bench.stored, id, &mut bench.compressor);
            match opened.and_then(|extent| self.take(&extent, wanted, block_len)) {
                Ok(blocks) => return Ok(blocks),
                Err(error) => last = Some(error),
            }
        }
        let cause = last.expect("the loop ends early or with an error");
        Err(Error::because(ErrorKind::Corrupt, format!("read blocks of the extent {id:?}"), cause))
    }

    /// Proves the blocks that are wanted, and keeps them and perhaps their neighbours.
    fn take(&self, extent: &Extent<'_>, wanted: &[Wanted], block_len: u32) -> Result<Vec<Got>, DecodeError> {
        if extent.header().block_len() != block_len as usize {
            return Err(DecodeError::Field("block length"));
        }
        let blocks: Vec<Got> = wanted
            .iter()
            .map(|(which, pointer)| Ok((*which, Arc::from(extent.block(usize::from(pointer.index), &pointer.hash)?))))
            .collect::<Result<_, DecodeError>>()?;
        for ((_, bytes), (_, pointer)) in blocks.iter().zip(wanted) {
            self.keep_block(extent.header().id, pointer.index, pointer.hash, Arc::clone(bytes));
        }
        self.keep_neighbours(extent, wanted);
        Ok(blocks)
    }

    /// Keeps the blocks behind those that are wanted, if these begin the extent: whoever reads in order does that
    /// and comes for them next, and who reads at random seldom does, and has no use for them.
    fn keep_neighbours(&self, extent: &Extent<'_>, wanted: &[Wanted]) {
        let (first, last) = (wanted[0].1.index, wanted[wanted.len() - 1].1.index);
        if first != 0 {
            return;
        }
        for index in last + 1..extent.header().hashes.len() as u8 {
            let hash = extent.header().hashes[usize::from(index)].block_hash();
            if let Ok(bytes) = extent.block(usize::from(index), &hash) {
                self.keep_block(extent.header().id, index, hash, Arc::from(bytes));
            }
        }
    }
}
