//! Directories that are two, and have one number.
//!
//! What a clone and its origin create after they parted gets the same numbers. Their trees then have equal keys for
//! unequal things. For a directory in the same place that is as well: its names are compared. One that is here
//! in the old state and there in the new was not moved, though, but is another one with other names.

use std::collections::BTreeSet;

use crate::content::Items;
use crate::error::Result;
use crate::format::InodeNumber;
use crate::fs::diff::collect::{Inodes, Presence};
use crate::fs::diff::{Comparison, Touched};
use crate::fs::{FileKind, NamePlace, directory, layout};

const DIRECTORY: Presence = Presence::Named(FileKind::Directory);

impl Comparison<'_> {
    /// Has every name in such directories be lost and gained, and finds out which numbers mean the same file.
    pub(super) fn part_twins(&self, touched: &mut Touched) -> Result<()> {
        let twins = touched.iter().filter(|(number, inodes)| self.is_twin(**number, inodes));
        let mut waiting: Vec<InodeNumber> = twins.map(|(number, _)| *number).collect();
        let mut parted = BTreeSet::new();
        while let Some(twin) = waiting.pop() {
            if parted.insert(twin) {
                let children = self.part_twin(twin, touched)?;
                waiting.extend(children.into_iter().filter(|child| self.is_twin(*child, &touched[child])));
            }
        }
        for (number, inodes) in touched.iter_mut() {
            let moved = !inodes.lost.is_empty() || !inodes.gained.is_empty();
            inodes.same = inodes.old.is_named() && inodes.old == inodes.new && (*number < self.shared || !moved);
        }
        Ok(())
    }

    fn is_twin(&self, number: InodeNumber, inodes: &Inodes) -> bool {
        let moved = !inodes.lost.is_empty() || !inodes.gained.is_empty();
        number >= self.shared && moved && (inodes.old, inodes.new) == (DIRECTORY, DIRECTORY)
    }

    /// Has the names that both directories have be lost and gained. Returns what they name.
    fn part_twin(&self, twin: InodeNumber, touched: &mut Touched) -> Result<Vec<InodeNumber>> {
        let mut common = Vec::new();
        let mut problem = None;
        directory::list(&self.old, twin, 0, &mut |entry, name| {
            let key = layout::entry_key(twin, entry.position);
            match self.new.get(key) {
                Ok(Some(other)) if other == directory::encode(entry.inode, entry.kind, name) => {
                    common.push((entry, name.to_vec()));
                }
                Ok(_) => {}
                Err(error) => problem = Some(error),
            }
            problem.is_none()
        })?;
        problem.map_or(Ok(()), Err)?;
        for (entry, name) in &common {
            let place = NamePlace { directory: twin, position: entry.position };
            let child = touched.entry(entry.inode).or_default();
            child.lost.push((place, name.clone()));
            child.gained.push((place, name.clone()));
            if child.old == Presence::Unknown {
                (child.old, child.new) = (Presence::Named(entry.kind), Presence::Named(entry.kind));
            }
        }
        Ok(common.into_iter().map(|(entry, _)| entry.inode).collect())
    }
}
