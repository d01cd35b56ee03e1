//! Takes back what an export wrote.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::fs::FileKind;
use rustix::fs::{AtFlags, Mode, chmodat, unlinkat};

use crate::workflows::host::{HostFolder, host_error};

/// Removes all that is in a directory, without following a symbolic link.
///
/// The stack is a list, as a tree may be deeper than a thread's stack.
pub fn content(root: &HostFolder) -> Result<()> {
    let mut open: Vec<(Option<HostFolder>, Vec<Vec<u8>>)> = vec![(None, root.names()?)];
    // The directory that was emptied last is the first of the names left in the one above.
    let mut emptied = false;
    while let Some((folder, names)) = open.last_mut() {
        let folder = folder.as_ref().unwrap_or(root);
        let Some(name) = names.last() else {
            open.pop();
            emptied = true;
            continue;
        };
        let is_directory = emptied || is_directory(folder, name)?;
        if is_directory && !emptied {
            // It may have been given a mode that keeps us out already.
            let _ = chmodat(folder, name.as_slice(), Mode::RWXU, AtFlags::empty());
            let below = folder.enter(name)?;
            let inside = below.names()?;
            open.push((Some(below), inside));
            continue;
        }
        emptied = false;
        let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(folder, name.as_slice(), flags).map_err(|errno| host_error(errno, "cannot remove it"))?;
        names.pop();
    }
    Ok(())
}

fn is_directory(folder: &HostFolder, name: &[u8]) -> Result<bool> {
    match folder.describe(name) {
        Ok(object) => Ok(object.kind == FileKind::Directory),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
