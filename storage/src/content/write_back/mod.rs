//! Turns a frozen overlay into edits of the tree below it, and its dirty blocks into extents.
//!
//! Invariants: a block that equals what the tree has is not written; each block is hashed once; nothing depends on
//! how the executor schedules; what an error leaves appended is freed again.

mod groups;
mod known;
mod level;

use std::ops::Range;

use crate::content::view::add_allocated;
use crate::content::write_back::groups::{Dirty, Groups};
use crate::content::{Overlay, RUN_KIND, allocated_key};
use crate::error::Result;
use crate::executor;
use crate::extent::{Origin, PlainBlock, Sealed};
use crate::format::{Birth, BlockHash, Checksum, DatasetId, InodeNumber, SlotId};
use crate::store::Store;
use crate::tree::{Cursor, Edit, ItemRef, Key, Reader, Root, Run};

/// Bytes of plain data that are hashed, compressed and held at once.
const BATCH_LEN: usize = 8 << 20;
/// Bytes that one job hashes.
const HASHED_AT_ONCE: usize = 128 << 10;

/// How an overlay is written back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteBack {
    /// Whose it is.
    pub dataset: DatasetId,
    /// Bytes in a block.
    pub block_len: u32,
    /// Most bytes of plain data in an extent.
    pub extent_len: u32,
    /// The level to compress at; `None`: not at all.
    pub level: Option<i8>,
    /// Whether writers wait for it, so that what saves little is compressed faster.
    pub hurried: bool,
    /// The commit that it becomes part of.
    pub birth: Birth,
    /// Whether it may use the pool's reserve.
    pub privileged: bool,
    /// Whether blocks of streams may become pointers to equal blocks that are stored already.
    pub dedup: bool,
}

/// What became of an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WrittenBack {
    /// What makes the tree below the tree with the overlay in it.
    pub edits: Vec<Edit>,
    /// How many bytes of whole blocks all files together have more.
    pub allocated_change: i64,
    /// Bytes of the blocks that were written, before compression.
    pub plain_bytes: u64,
    /// Bytes of the blocks that were stored already.
    pub deduplicated_bytes: u64,
}

/// Writes the dirty blocks of `overlay`, which lies on the tree of `below`, and tells the edits that make it part of
/// the tree. On an error nothing is kept of what was written.
pub fn write_back(store: &Store, below: &Root, overlay: &Overlay, how: &WriteBack) -> Result<WrittenBack> {
    let written = WrittenBack { allocated_change: overlay.allocated_change(), ..WrittenBack::default() };
    let mut work = Work { store, root: *below, below: Reader::new(store, *below), how, appended: Vec::new(), written };
    match work.items(overlay).and_then(|()| work.blocks(overlay)) {
        Ok(()) => Ok(work.written),
        Err(error) => {
            for (id, first, count) in work.appended {
                store.account().free(how.birth, id, first, count)?;
            }
            Err(error.during("write back what a dataset has in memory"))
        }
    }
}

struct Work<'a> {
    store: &'a Store,
    root: Root,
    below: Reader<'a>,
    how: &'a WriteBack,
    /// References that were taken: extents, the first block in each and how many.
    appended: Vec<(SlotId, u8, u8)>,
    written: WrittenBack,
}

impl Work<'_> {
    /// Edits for items, holes and counts.
    fn items(&mut self, overlay: &Overlay) -> Result<()> {
        let edits = &mut self.written.edits;
        for (key, value) in overlay.items(Key::MIN, Key::MAX) {
            edits.push(value.map_or(Edit::Delete(key), |value| Edit::Put(key, value.to_vec())));
        }
        for (inode, file) in overlay.files() {
            for hole in file.holes.iter() {
                let key = |number| Key::new(inode.0, RUN_KIND, number);
                edits.push(Edit::DeleteRange(key(hole.start), key(hole.end - 1)));
            }
            if file.allocated_change != 0 {
                let key = allocated_key(inode);
                let allocated = add_allocated(self.below.get(key)?, file.allocated_change)?;
                edits.push(match allocated {
                    0 => Edit::Delete(key),
                    _ => Edit::Put(key, allocated.to_le_bytes().to_vec()),
                });
            }
        }
        Ok(())
    }

    /// Writes the dirty blocks, a batch at a time.
    fn blocks(&mut self, overlay: &Overlay) -> Result<()> {
        let mut groups = Groups::new(self.how.block_len, self.how.extent_len);
        let all = overlay
            .files()
            .flat_map(|(inode, file)| file.blocks.iter().map(move |(number, plain)| (inode, *number, plain)));
        let mut all = all.peekable();
        while all.peek().is_some() {
            let batch: Vec<_> = all.by_ref().take(BATCH_LEN / self.how.block_len as usize).collect();
            let hashes = self.hash(&batch);
            let changed = self.changed(&batch, &hashes)?;
            for number in self.refer_to_known(&batch, &hashes, changed)? {
                let (inode, position, plain) = batch[number];
                groups.push(Dirty { inode, number: position, plain: plain.clone(), hash: hashes[number] });
            }
            self.write(groups.take_full())?;
        }
        self.write(groups.finish())
    }

    fn hash(&self, batch: &[(InodeNumber, u64, &PlainBlock)]) -> Vec<Checksum> {
        let pieces: Vec<_> = batch.chunks(HASHED_AT_ONCE / self.how.block_len as usize).collect();
        let hash = |piece: usize| pieces[piece].iter().map(|(_, _, plain)| Checksum::of(plain)).collect::<Vec<_>>();
        executor::map(self.store.executor(), pieces.len(), hash).concat()
    }

    /// Which blocks of a batch differ from what the tree has in their place.
    fn changed(&self, batch: &[(InodeNumber, u64, &PlainBlock)], hashes: &[Checksum]) -> Result<Vec<usize>> {
        let mut changed = Vec::with_capacity(batch.len());
        let mut below = Cursor::new(self.store, self.root);
        let mut start = 0;
        for piece in batch.chunk_by(|left, right| left.0 == right.0 && left.1 + 1 == right.1) {
            let (inode, first, _) = piece[0];
            let numbers = first..first + piece.len() as u64;
            let stored = stored_hashes(&mut below, inode, numbers)?;
            let differs = |at: &usize| stored[*at - start] != Some(hashes[*at].block_hash());
            changed.extend((start..start + piece.len()).filter(differs));
            start += piece.len();
        }
        Ok(changed)
    }

    /// Seals groups in parallel, and appends them in order.
    fn write(&mut self, groups: Vec<Vec<Dirty>>) -> Result<()> {
        for (group, mut sealed) in groups.iter().zip(self.seal_all(&groups)?) {
            let id = self.store.account().append_extent(self.how.birth, self.how.privileged, &mut sealed)?;
            self.appended.push((id, 0, group.len() as u8));
            self.store.finder().remember(id, &sealed.hashes);
            self.written.plain_bytes += group.len() as u64 * u64::from(self.how.block_len);
            self.refer(id, group);
        }
        Ok(())
    }

    /// Seals groups in parallel; in their order, at the level that `level` gives them.
    fn seal_all(&self, groups: &[Vec<Dirty>]) -> Result<Vec<Sealed>> {
        let level = self.how.level;
        if !level::may_give_way(level, self.how.hurried) {
            let all = executor::map(self.store.executor(), groups.len(), |number| self.seal(&groups[number], level));
            return all.into_iter().collect();
        }
        let (samples, others): (Vec<_>, Vec<_>) =
            groups.iter().enumerate().partition(|(number, _)| number.is_multiple_of(level::SAMPLE_STEP));
        let seal = |part: &[(usize, &Vec<Dirty>)], level| {
            let sealed = executor::map(self.store.executor(), part.len(), |at| self.seal(part[at].1, level));
            sealed.into_iter().collect::<Result<Vec<_>>>()
        };
        let sampled = seal(&samples, level)?;
        let plain_len = samples.iter().map(|(_, group)| group.len()).sum::<usize>() * self.how.block_len as usize;
        let mut beside = seal(&others, Some(level::beside(&sampled, plain_len)))?.into_iter();
        let with_others =
            |sample| std::iter::once(sample).chain(beside.by_ref().take(level::SAMPLE_STEP - 1)).collect();
        Ok(sampled.into_iter().flat_map::<Vec<_>, _>(with_others).collect())
    }

    fn seal(&self, group: &[Dirty], level: Option<i8>) -> Result<Sealed> {
        let blocks = group.iter().map(|dirty| dirty.plain.clone()).collect();
        let hashes = group.iter().map(|dirty| dirty.hash).collect();
        let first = &group[0];
        let origin = Origin { dataset: self.how.dataset, inode: first.inode, first_block: first.number };
        self.store.with_compressor(|with| Ok(Sealed::seal_blocks(blocks, hashes, level, origin, with)))
    }

    /// Edits that put the blocks of a new extent into their files, where they are read from the cache at first.
    fn refer(&mut self, id: SlotId, group: &[Dirty]) {
        let mut first = 0;
        for piece in group.chunk_by(Dirty::is_followed_by) {
            let hashes = piece.iter().map(|dirty| dirty.hash.block_hash()).collect::<Vec<_>>();
            let key = Key::new(piece[0].inode.0, RUN_KIND, piece[0].number);
            self.written.edits.push(Edit::Run(key, Run { id, first, birth: self.how.birth, hashes }));
            first += piece.len() as u8;
        }
        for (index, dirty) in (0..).zip(group) {
            self.store.keep_block(id, index, dirty.hash.block_hash(), dirty.plain.clone());
        }
    }
}

/// The hashes that a file's blocks have below, one entry a block; `None` where none is.
fn stored_hashes(below: &mut Cursor<'_>, inode: InodeNumber, numbers: Range<u64>) -> Result<Vec<Option<BlockHash>>> {
    let mut hashes = vec![None; (numbers.end - numbers.start) as usize];
    let key = |number| Key::new(inode.0, RUN_KIND, number);
    below.scan(key(numbers.start), key(numbers.end - 1), &mut |key, item| {
        if let ItemRef::Run(run) = item {
            let at = (key.position - numbers.start) as usize;
            hashes[at..at + run.hashes.len()].iter_mut().zip(run.hashes).for_each(|(own, hash)| *own = Some(*hash));
        }
    })?;
    Ok(hashes)
}
