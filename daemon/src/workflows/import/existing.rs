//! What the target has already: listing it, and removing what the source has not.

use std::collections::BTreeMap;

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Context, FileKind, FileSystem};

/// Entries asked for at once.
const PAGE_LEN: usize = 1000;

/// The names of a directory of the target.
pub type Existing = BTreeMap<Vec<u8>, (InodeNumber, FileKind)>;

/// Lists a directory of the target.
pub fn list(target: &dyn FileSystem, context: &Context, directory: InodeNumber) -> Result<Existing> {
    let mut existing = Existing::new();
    let mut after = 0;
    loop {
        let page = target.read_directory(context, directory, after, PAGE_LEN)?;
        let Some(last) = page.entries.last() else { return Ok(existing) };
        after = last.cookie;
        existing.extend(page.entries.into_iter().map(|entry| (entry.name, (entry.inode, entry.kind))));
        if page.end {
            return Ok(existing);
        }
    }
}

/// Removes a name and, if it is a directory's, all below it. Returns how many names that were.
///
/// The stack is a list, as a tree may be deeper than a thread's stack.
pub fn remove(
    target: &dyn FileSystem,
    context: &Context,
    directory: InodeNumber,
    name: &[u8],
    kind: FileKind,
) -> Result<u64> {
    if kind != FileKind::Directory {
        target.remove(context, directory, name)?;
        return Ok(1);
    }
    let mut removed = 0;
    let inode = target.lookup(context, directory, name)?.inode;
    let mut open = vec![(directory, name.to_owned(), inode)];
    while let Some((parent, name, inode)) = open.last().cloned() {
        for (below, (child, kind)) in list(target, context, inode)? {
            if kind == FileKind::Directory {
                open.push((inode, below, child));
            } else {
                target.remove(context, inode, &below)?;
                removed += 1;
            }
        }
        match target.remove_directory(context, parent, &name) {
            Ok(_) => {
                removed += 1;
                open.pop();
            }
            // Directories below went onto the stack: this one's turn comes again when they are gone.
            Err(error) if error.kind() == ErrorKind::NotEmpty => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
