//! What the kernel knows of a mount: inodes it has looked up, files that are open, whose pages it may keep.
//!
//! Invariant: an inode is here from its first look-up until as many are forgotten, or while it is open. Its
//! pages may be kept from one opening to the next only if nobody else changed it since they were read, which
//! the engine's change counter tells.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use cow_storage::format::InodeNumber;
use cow_storage::fs::Changed;
use parking_lot::Mutex;

/// Locks among which inodes are spread.
const SHARDS: usize = 16;

/// All that the kernel knows.
#[derive(Default)]
pub struct Nodes {
    shards: [Mutex<HashMap<InodeNumber, Node>>; SHARDS],
}

#[derive(Default)]
struct Node {
    lookups: u64,
    openings: u64,
    /// The change counter of which the kernel's pages are, if it has any.
    pages_of: Option<u64>,
}

impl Nodes {
    fn shard(&self, inode: InodeNumber) -> &Mutex<HashMap<InodeNumber, Node>> {
        &self.shards[inode.0 as usize % SHARDS]
    }

    /// Counts a look-up that the kernel was answered.
    pub fn look_up(&self, inode: InodeNumber) {
        self.shard(inode).lock().entry(inode).or_default().lookups += 1;
    }

    /// Takes look-ups back.
    pub fn forget(&self, inode: InodeNumber, count: u64) {
        self.with_entry(inode, |node| node.lookups = node.lookups.saturating_sub(count));
    }

    /// Counts an opening, of a file whose change counter is `change` now. Returns whether the kernel's pages are good.
    pub fn open(&self, inode: InodeNumber, change: u64) -> bool {
        let mut shard = self.shard(inode).lock();
        let node = shard.entry(inode).or_default();
        node.openings += 1;
        node.pages_of.replace(change) == Some(change)
    }

    /// Takes an opening back.
    pub fn close(&self, inode: InodeNumber) {
        self.with_entry(inode, |node| node.openings = node.openings.saturating_sub(1));
    }

    /// Notes a change that came through this kernel, which has its pages in step.
    pub fn note_own(&self, changed: &Changed) {
        if let Some(node) = self.shard(changed.after.inode).lock().get_mut(&changed.after.inode)
            && node.pages_of == Some(changed.before.change)
        {
            node.pages_of = Some(changed.after.change);
        }
    }

    /// All inodes that the kernel may keep something of.
    pub fn known(&self) -> Vec<InodeNumber> {
        self.shards.iter().flat_map(|shard| shard.lock().keys().copied().collect::<Vec<_>>()).collect()
    }

    /// Files and directories that are open.
    pub fn openings(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().values().map(|node| node.openings).sum::<u64>()).sum()
    }

    fn with_entry(&self, inode: InodeNumber, act: impl FnOnce(&mut Node)) {
        if let Entry::Occupied(mut entry) = self.shard(inode).lock().entry(inode) {
            act(entry.get_mut());
            if entry.get().lookups == 0 && entry.get().openings == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_is_known_until_it_is_forgotten_and_closed() {
        let (nodes, inode) = (Nodes::default(), InodeNumber(17));
        nodes.look_up(inode);
        nodes.look_up(inode);
        assert!(!nodes.open(inode, 5));
        assert!(nodes.open(inode, 5), "nobody changed it");
        assert!(!nodes.open(inode, 6), "somebody did");
        nodes.forget(inode, 2);
        nodes.close(inode);
        nodes.close(inode);
        assert_eq!((nodes.known(), nodes.openings()), (vec![inode], 1));
        nodes.close(inode);
        nodes.close(inode);
        nodes.forget(inode, 1);
        assert_eq!((nodes.known(), nodes.openings()), (Vec::new(), 0));
    }
}
