//! Which paths differ between snapshots and heads.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::catalog::{Catalog, Holder, State};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::{Comparison, Difference};
use crate::pool::core::Core;

impl Core {
    /// Paths that differ.
    pub fn diff(&self, older: &str, newer: &str, found: &mut dyn FnMut(Difference) -> bool) -> Result<()> {
        let comparing = |error: Error| error.during(format!("compare {older} with {newer}"));
        let (one, other) = {
            let catalog = self.catalog.read();
            (catalog.resolve(older)?, catalog.resolve(newer)?)
        };
        let (one, other) = (self.head(one)?, self.head(other)?);
        if one.present().layers.is_dirty() || other.present().layers.is_dirty() {
            // It keeps the last one's time.
            self.commit(Timestamp::default()).map_err(comparing)?;
        }
        // Between two commits, roots and catalog say the same; what the heads get meanwhile is newer than now.
        let (_pins, roots, shared) = {
            let _committed = self.committed.lock();
            let ((old_pin, old), (new_pin, new)) = (self.view(&one)?, self.view(&other)?);
            let shared = shared_inodes(&self.catalog.read(), one.holder, other.holder).map_err(comparing)?;
            ((old_pin, new_pin), (*old.layers.root(), *new.layers.root()), shared)
        };
        let comparison = Comparison::new(&self.store, other.block_len, roots, &self.names, shared);
        comparison.run(found).map_err(comparing)
    }
}

/// The first inode number that was not taken when two states were one: from it on, equal numbers can mean different files.
fn shared_inodes(catalog: &Catalog, one: Holder, other: Holder) -> Result<InodeNumber> {
    let line = |holder| std::iter::successors(Some(holder), |holder| catalog.parent(*holder).map(Holder::Snapshot));
    let first: HashSet<Holder> = line(one).collect();
    let common = line(other).find(|holder| first.contains(holder));
    let common = common.ok_or_else(|| {
        Error::new(
            ErrorKind::Invalid,
            "they have no snapshot in common: choose two of one dataset, or of a dataset and its clone",
        )
    })?;
    let State { next_inode, .. } = *catalog.state(common)?;
    Ok(InodeNumber(next_inode))
}
