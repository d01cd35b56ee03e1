//! Listings: names, and names with what they name.
//!
//! Invariant: where a listing goes on is told by the engine's cookies, which stay good while names come and go.

use cow_storage::format::InodeNumber;
use cow_storage::fs::{Attributes, DirectoryEntry, FileKind};

use crate::fuse::failure::Outcome;
use crate::fuse::volume::Volume;

/// Entries asked of the engine at once.
const PAGE_LENGTH: usize = 256;
/// Where a listing goes on after `.`, and after `..`; the engine's cookies are greater.
const COOKIE_SELF: u64 = 1;
const COOKIE_PARENT: u64 = 2;

impl Volume {
    /// Hands the entries after a cookie to `put`, until it says that it takes no more.
    pub fn list(
        &self,
        directory: InodeNumber,
        after: u64,
        mut put: impl FnMut(&DirectoryEntry) -> bool,
    ) -> Outcome<()> {
        // It is open: whether it may be listed was checked then.
        let context = self.as_opener();
        if after < COOKIE_PARENT {
            let parent = self.files().parent(directory)?;
            for (name, inode, cookie) in [(".", directory, COOKIE_SELF), ("..", parent, COOKIE_PARENT)] {
                let entry = DirectoryEntry { name: name.into(), inode, kind: FileKind::Directory, cookie };
                if cookie > after && !put(&entry) {
                    return Ok(());
                }
            }
        }
        let mut after = if after <= COOKIE_PARENT { 0 } else { after };
        loop {
            let page = self.files().read_directory(&context, directory, after, PAGE_LENGTH)?;
            for entry in &page.entries {
                if !put(entry) {
                    return Ok(());
                }
                after = entry.cookie;
            }
            if page.end || page.entries.is_empty() {
                return Ok(());
            }
        }
    }

    /// The same with what each entry names, as far as it is still there. Those that `put` took count as looked up.
    pub fn list_with_attributes(
        &self,
        directory: InodeNumber,
        after: u64,
        mut put: impl FnMut(&DirectoryEntry, &Attributes) -> bool,
    ) -> Outcome<()> {
        self.list(directory, after, |entry| {
            let Ok(attributes) = self.files().attributes(entry.inode) else { return true };
            let taken = put(entry, &attributes);
            if taken && entry.cookie > COOKIE_PARENT {
                self.nodes.look_up(entry.inode);
            }
            taken
        })
    }
}
