//! From an inode to its paths.

use crate::content::Items;
use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::{Inode, NamePlace, Reader, directory, layout, links};

impl Reader<'_> {
    /// All paths of an inode, each with a slash before every name, in no order. An orphan has none.
    pub fn paths(&self, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
        let inode = Inode::load(self.items, inode)?;
        match (inode.number, inode.links) {
            (InodeNumber::ROOT, _) => Ok(vec![b"/".to_vec()]),
            (_, 0) => Ok(Vec::new()),
            _ => links::all(self.items, &inode)?.into_iter().map(|place| path(self.items, place)).collect(),
        }
    }
}

/// The path of the name at a place.
fn path(items: &dyn Items, place: NamePlace) -> Result<Vec<u8>> {
    let mut names = vec![name_at(items, place)?];
    climb(items, place.directory, &mut |directory| {
        names.push(name_at(items, directory.home)?);
        Ok(true)
    })?;
    let mut path = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    Ok(path)
}

/// Calls `step` with a directory and those that it is in, without the root, until it returns false.
pub(crate) fn climb(items: &dyn Items, from: InodeNumber, step: &mut dyn FnMut(&Inode) -> Result<bool>) -> Result<()> {
    let (mut at, mut mark, mut steps) = (from, InodeNumber(0), 0u64);
    while at != InodeNumber::ROOT {
        // Parents that go round in a circle are damage: the mark, moved ever more rarely, is met again.
        if at == mark {
            return Err(Error::new(ErrorKind::Corrupt, "a directory lies within itself"));
        }
        steps += 1;
        if steps.is_power_of_two() {
            mark = at;
        }
        let directory = Inode::load_directory(items, at)?;
        if !step(&directory)? {
            return Ok(());
        }
        at = directory.parent();
    }
    Ok(())
}

/// The name at a place.
pub(crate) fn name_at(items: &dyn Items, place: NamePlace) -> Result<Vec<u8>> {
    let entry = items.get(layout::entry_key(place.directory, place.position))?;
    let entry = entry.ok_or_else(|| Error::new(ErrorKind::Corrupt, "an inode has no name where it says"))?;
    Ok(directory::decode(&entry)?.2.to_vec())
}
