//! What a pool does to a file system from outside: its properties, its end and its beginning again.

use std::ops::Range;
use std::sync::Arc;

use cow_storage::format::InodeNumber;
use cow_storage::fs::{Attributes, Context};

use crate::model::Model;
use crate::model::bytes::Pages;
use crate::model::state::{Body, Inode};

/// One inode as it was at some time.
#[derive(Clone)]
pub struct Saved(Arc<Inode>);

impl Saved {
    /// Which inode it is.
    pub fn inode(&self) -> InodeNumber {
        self.0.attributes.inode
    }
}

impl Model {
    /// A deep copy in every respect.
    pub fn copy(&self) -> Self {
        Self::of(self.state().clone())
    }

    /// Sets how many bytes may be allocated.
    pub fn set_quota(&self, quota: Option<u64>) {
        self.state().quota = quota;
    }

    /// Sets whether changes are refused.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Ends all retains, as the end of a process does: inodes without names are gone.
    pub fn release_all(&self) {
        self.state().release_all();
    }

    /// Bytes allocated to all inodes.
    pub fn allocated(&self) -> u64 {
        self.state().allocated()
    }

    /// The number that the next new inode gets.
    pub fn next_inode(&self) -> u64 {
        self.state().next_inode
    }

    /// Sets the number that the next new inode gets.
    pub fn set_next_inode(&self, next: u64) {
        self.state().next_inode = next;
    }

    /// How many retains an inode has.
    pub fn retains(&self, inode: InodeNumber) -> u64 {
        self.state().inodes.get(&inode).map_or(0, |found| found.retained)
    }

    /// An inode as it is now.
    pub fn save(&self, inode: InodeNumber) -> Option<Saved> {
        self.state().inodes.get(&inode).cloned().map(Saved)
    }

    /// Sets an inode to what it was, if it is there. Who has it open stays.
    pub fn restore(&self, saved: &Saved) {
        if let Some(found) = self.state().inodes.get_mut(&saved.0.attributes.inode) {
            *found = Arc::new(Inode { retained: found.retained, ..Inode::clone(&saved.0) });
        }
    }

    /// Sets a file's attributes, and its bytes to these ranges with zeros between; nothing if it is no file that is there.
    pub fn set_file(&self, attributes: &Attributes, ranges: &[(Range<u64>, Arc<[u8]>)]) {
        let mut state = self.state();
        let page_len = u64::from(state.block_size);
        if state.file(attributes.inode).is_err() {
            return;
        }
        let mut pages = Pages::default();
        ranges.iter().for_each(|(range, bytes)| pages.write(page_len, range.start, bytes));
        let found = state.inode_mut(attributes.inode);
        (found.attributes, found.body) = (attributes.clone(), Body::File(pages));
    }

    /// Notes a change of a file's content, if it is there.
    pub fn touch_content(&self, context: &Context, inode: InodeNumber) {
        let mut state = self.state();
        if state.inodes.contains_key(&inode) {
            state.inode_mut(inode).drop_privileges(&context.caller);
            state.inode_mut(inode).touch_content(context.now);
        }
    }

    /// Sets an inode's change counter, if it is there.
    pub fn set_change(&self, inode: InodeNumber, change: u64) {
        let mut state = self.state();
        if state.inodes.contains_key(&inode) {
            state.inode_mut(inode).attributes.change = change;
        }
    }
}
