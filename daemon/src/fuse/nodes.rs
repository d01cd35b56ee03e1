//! What the kernel knows of a mount: inodes it has looked up, files that are open, whose pages it may keep.
//!
//! Invariant: an inode is here from its first look-up until as many are forgotten, or while it is open. Its pages are good
//! as long as nobody else changed it since they were read, which the engine's change counter tells: changes through this
//! kernel are told apart by the counter before and after each.

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
    /// Changes through this kernel of which an earlier one is not noted yet: before and after.
    ahead: Vec<(u64, u64)>,
}

/// Most changes that are kept until an earlier one is noted. There are no more threads that make them.
const AHEAD_MAX: usize = 32;

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

    /// Counts an opening; of a file whose change counter is `change` now, if it is one. Returns whether the kernel's pages
    /// are good.
    pub fn open(&self, inode: InodeNumber, change: Option<u64>) -> bool {
        let mut shard = self.shard(inode).lock();
        let node = shard.entry(inode).or_default();
        node.openings += 1;
        let Some(change) = change else { return false };
        let is_good = node.pages_of.is_some_and(|known| known >= change);
        if !is_good {
            node.catch_up(change);
        }
        is_good
    }

    /// Takes an opening back.
    pub fn close(&self, inode: InodeNumber) {
        self.with_entry(inode, |node| node.openings = node.openings.saturating_sub(1));
    }

    /// Notes a change that came through this kernel, which has its pages in step.
    pub fn note_own(&self, changed: &Changed) {
        if let Some(node) = self.shard(changed.after.inode).lock().get_mut(&changed.after.inode) {
            node.note_own(changed.before.change, changed.after.change);
        }
    }

    /// Files that are open and of which the kernel may have pages.
    pub fn open_files(&self) -> Vec<InodeNumber> {
        let is_open = |(_, node): &(&InodeNumber, &Node)| node.openings > 0 && node.pages_of.is_some();
        let of_shard = |shard: &Mutex<HashMap<InodeNumber, Node>>| -> Vec<InodeNumber> {
            shard.lock().iter().filter(is_open).map(|(inode, _)| *inode).collect()
        };
        self.shards.iter().flat_map(of_shard).collect()
    }

    /// Whether the kernel's pages are older than this change.
    pub fn is_behind(&self, inode: InodeNumber, change: u64) -> bool {
        self.shard(inode).lock().get(&inode).is_some_and(|node| node.pages_of.is_some_and(|known| known < change))
    }

    /// The kernel has dropped the pages that were older than this change.
    pub fn catch_up(&self, inode: InodeNumber, change: u64) {
        if let Some(node) = self.shard(inode).lock().get_mut(&inode)
            && node.pages_of.is_some_and(|known| known < change)
        {
            node.catch_up(change);
        }
    }

    /// None of the kernel's pages are good: all files have other content, and their counters begin anew.
    pub fn distrust(&self) {
        for shard in &self.shards {
            shard.lock().values_mut().for_each(|node| (node.pages_of, node.ahead) = (None, Vec::new()));
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

impl Node {
    fn catch_up(&mut self, change: u64) {
        self.pages_of = Some(change);
        self.ahead.clear();
    }

    fn note_own(&mut self, before: u64, after: u64) {
        let Some(known) = self.pages_of else { return };
        if before > known {
            if self.ahead.len() == AHEAD_MAX {
                // Somebody else's is between, so none of these will ever follow on what is known.
                self.ahead.clear();
            }
            return self.ahead.push((before, after));
        }
        if before < known {
            return;
        }
        self.pages_of = Some(after);
        if let Some(at) = self.ahead.iter().position(|(before, _)| *before == after) {
            let (before, after) = self.ahead.swap_remove(at);
            self.note_own(before, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_through_this_kernel_keep_its_pages_in_whatever_order_they_are_noted() {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (order, foreign) in orders.into_iter().flat_map(|order| (0..4).map(move |foreign| (order, foreign))) {
            let mut node = Node { pages_of: Some(10), ..Node::default() };
            // Before the change `foreign` of the three there is one of somebody else's.
            let change = |at: u64| 10 + at + u64::from(at >= foreign);
            order.into_iter().for_each(|at| node.note_own(change(at), change(at) + 1));
            assert_eq!(node.pages_of, Some(10 + foreign.min(3)), "{order:?} {foreign}");
        }
    }

    #[test]
    fn an_inode_is_known_until_it_is_forgotten_and_closed() {
        let (nodes, inode) = (Nodes::default(), InodeNumber(17));
        nodes.look_up(inode);
        nodes.look_up(inode);
        assert!(!nodes.open(inode, Some(5)));
        assert!(nodes.open(inode, Some(5)), "nobody changed it");
        assert!(!nodes.open(inode, Some(6)), "somebody did");
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
