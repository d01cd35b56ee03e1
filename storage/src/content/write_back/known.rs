//! Blocks of streams that are stored already: they become pointers to what is there.
//!
//! Only streams are looked up: long runs, and files that had nothing. Random writes of a database would cost a
//! look-up each and find next to nothing.

use crate::content::write_back::Work;
use crate::content::{RUN_KIND, allocated_key};
use crate::error::Result;
use crate::extent::PlainBlock;
use crate::format::{Checksum, InodeNumber, SlotId};
use crate::tree::{Edit, Key, Run};

/// Runs of at least so many bytes are streams.
const STREAM_LEN_MIN: u64 = 128 << 10;

/// A dirty block: its file, its number there, and its bytes.
pub(super) type DirtyBlock<'a> = (InodeNumber, u64, &'a PlainBlock);

impl Work<'_> {
    /// Makes pointers of those blocks of `changed` (numbers in `batch`) that are stored already, and returns the others.
    pub(super) fn refer_to_known(
        &mut self,
        batch: &[DirtyBlock<'_>],
        hashes: &[Checksum],
        changed: Vec<usize>,
    ) -> Result<Vec<usize>> {
        let streams = if self.how.dedup { self.streams(batch, &changed)? } else { Vec::new() };
        let wanted: Vec<Checksum> = streams.iter().map(|number| hashes[*number]).collect();
        let found = self.store.finder().find(self.store.account(), self.how.birth, &wanted)?;
        let hits: Vec<_> = streams.into_iter().zip(found).filter_map(|(number, hit)| Some((number, hit?))).collect();
        self.written.deduplicated_bytes += hits.len() as u64 * u64::from(self.how.block_len);
        for piece in hits.chunk_by(|left, right| continues(batch, left, right)) {
            let (number, (id, first)) = piece[0];
            let (inode, position, _) = batch[number];
            let hashes = piece.iter().map(|(number, _)| hashes[*number].block_hash()).collect::<Vec<_>>();
            self.appended.push((id, first, piece.len() as u8));
            let run = Run { id, first, birth: self.how.birth, hashes };
            self.written.edits.push(Edit::Run(Key::new(inode.0, RUN_KIND, position), run));
        }
        let mut hits = hits.into_iter().map(|(number, _)| number).peekable();
        Ok(changed.into_iter().filter(|number| hits.next_if_eq(number).is_none()).collect())
    }

    /// Those of `changed` that are part of a stream.
    fn streams(&self, batch: &[DirtyBlock<'_>], changed: &[usize]) -> Result<Vec<usize>> {
        let mut streams = Vec::new();
        let mut last = None;
        for piece in changed.chunk_by(|left, right| follows(batch, *left, *right)) {
            let inode = batch[piece[0]].0;
            let is_new = match last {
                Some((seen, is_new)) if seen == inode => is_new,
                _ => self.below.get(allocated_key(inode))?.is_none(),
            };
            last = Some((inode, is_new));
            if is_new || piece.len() as u64 * u64::from(self.how.block_len) >= STREAM_LEN_MIN {
                streams.extend_from_slice(piece);
            }
        }
        Ok(streams)
    }
}

/// Whether a dirty block is the next of its file after another.
fn follows(batch: &[DirtyBlock<'_>], left: usize, right: usize) -> bool {
    batch[left].0 == batch[right].0 && batch[left].1 + 1 == batch[right].1
}

/// Whether the second of two hits is next to the first, both in its file and where it is stored.
fn continues(batch: &[DirtyBlock<'_>], left: &(usize, (SlotId, u8)), right: &(usize, (SlotId, u8))) -> bool {
    let (left_id, left_index) = left.1;
    follows(batch, left.0, right.0) && (left_id, left_index + 1) == right.1
}
