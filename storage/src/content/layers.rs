//! One state of a head: its root under the overlays.
//!
//! Invariant: only the open overlay changes, and each change of it is one call's, at once. What a freeze or a
//! commit puts in place of a layer is another; whoever holds a clone keeps the old ones.

use std::ops::Range;
use std::sync::Arc;

use crate::content::view::View;
use crate::content::{Items, Overlay, RangeSet};
use crate::error::Result;
use crate::format::InodeNumber;
use crate::store::Store;
use crate::sync::RwLock;
use crate::tree::{Key, Root};

/// A root, during a commit a frozen overlay over it, and over both an open one. A clone shares them.
#[derive(Clone, Debug)]
pub struct Layers {
    store: Arc<Store>,
    block_len: u32,
    root: Root,
    frozen: Option<Arc<RwLock<Overlay>>>,
    open: Arc<RwLock<Overlay>>,
}

impl Layers {
    /// The state that a root names, of a dataset with blocks of `block_len` bytes.
    pub fn new(store: Arc<Store>, block_len: u32, root: Root) -> Self {
        Self { store, block_len, root, frozen: None, open: Arc::default() }
    }

    /// What the root's nodes and blocks are read from.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Bytes in a block.
    pub fn block_len(&self) -> u32 {
        self.block_len
    }

    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The overlay that a commit is writing back.
    pub fn frozen(&self) -> Option<&Arc<RwLock<Overlay>>> {
        self.frozen.as_ref()
    }

    /// The overlay that takes changes.
    pub(in crate::content) fn open(&self) -> &Arc<RwLock<Overlay>> {
        &self.open
    }

    /// Makes the open overlay the frozen one, and opens an empty one; returns false, and changes nothing, if it is
    /// empty. No [`crate::content::Edit`] may be under way, nor another overlay be frozen.
    pub fn freeze(&mut self) -> bool {
        if self.open.read().is_empty() {
            return false;
        }
        self.freeze_even_if_empty();
        true
    }

    /// The same whatever is in it.
    pub fn freeze_even_if_empty(&mut self) {
        assert!(self.frozen.is_none(), "a frozen overlay waits to be written back");
        self.frozen = Some(std::mem::take(&mut self.open));
    }

    /// Puts the root in place that has all of the frozen overlay in it.
    pub fn install(&mut self, root: Root) {
        self.root = root;
        self.frozen = None;
    }

    /// About how many bytes of memory the overlays take.
    pub fn dirty_bytes(&self) -> u64 {
        self.overlays().map(|overlay| overlay.read().bytes()).sum()
    }

    /// Whether there is anything beyond the root.
    pub fn is_dirty(&self) -> bool {
        self.overlays().any(|overlay| !overlay.read().is_empty())
    }

    /// How many bytes of whole blocks all files together have more than in the root.
    pub fn allocated_change(&self) -> i64 {
        self.overlays().map(|overlay| overlay.read().allocated_change()).sum()
    }

    /// The ranges of a file's bytes that were written and neither logged nor committed, in order.
    pub fn unlogged(&self, inode: InodeNumber) -> Vec<Range<u64>> {
        let mut united = RangeSet::new();
        for overlay in self.overlays() {
            if let Some(ranges) = overlay.read().unlogged().lock().get(&inode) {
                ranges.iter().for_each(|range| united.insert(range));
            }
        }
        united.iter().collect()
    }

    /// Whether a file was written to without a record that was logged, nor committed, since. Its size and times may be
    /// known nowhere else even where all its bytes were given up or written again, and have no range any more.
    pub fn is_unlogged(&self, inode: InodeNumber) -> bool {
        self.overlays().any(|overlay| overlay.read().unlogged().lock().contains_key(&inode))
    }

    /// The files that have such ranges, in order.
    pub fn unlogged_inodes(&self) -> Vec<InodeNumber> {
        let mut inodes = Vec::new();
        for overlay in self.overlays() {
            let overlay = overlay.read();
            let files = overlay.unlogged().lock();
            inodes.extend(files.iter().filter(|(_, ranges)| !ranges.is_empty()).map(|(inode, _)| *inode));
        }
        inodes.sort_unstable();
        inodes.dedup();
        inodes
    }

    /// Notes that ranges of a file's bytes are in the log as they are now, and so are its size and times.
    pub fn mark_logged(&self, inode: InodeNumber, ranges: &[Range<u64>]) {
        for overlay in self.overlays() {
            let overlay = overlay.read();
            let mut files = overlay.unlogged().lock();
            if let Some(unlogged) = files.get_mut(&inode) {
                ranges.iter().for_each(|range| unlogged.remove(range.clone()));
                if unlogged.is_empty() {
                    files.remove(&inode);
                }
            }
        }
    }

    /// Has the cache filled with what a range of a file's bytes has on the disk, for whoever may read it soon. Returns whether
    /// anything was missing there; blocks that cannot be read are left to whoever wants them.
    pub fn fetch_ahead(&self, inode: InodeNumber, range: Range<u64>) -> Result<bool> {
        self.view().fetch_ahead(inode, range)
    }

    /// The overlays, upper one first.
    pub(in crate::content) fn overlays(&self) -> impl Iterator<Item = &Arc<RwLock<Overlay>>> {
        std::iter::once(&self.open).chain(&self.frozen)
    }

    fn view(&self) -> View<'_> {
        View { layers: self, edit: None }
    }
}

impl Items for Layers {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>> {
        self.view().get(key)
    }

    fn scan(&self, first: Key, last: Key, found: &mut dyn FnMut(Key, &[u8]) -> bool) -> Result<()> {
        self.view().scan(first, last, found)
    }

    fn read(&self, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.view().read(inode, offset, buffer)
    }

    fn allocated(&self, inode: InodeNumber) -> Result<u64> {
        self.view().allocated(inode)
    }

    fn seek(&self, inode: InodeNumber, offset: u64, end: u64, data: bool) -> Result<Option<u64>> {
        self.view().seek(inode, offset, end, data)
    }
}
