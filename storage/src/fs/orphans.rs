//! Inodes that lost their last name while open or large, and how they go.

use crate::content::Items;
use crate::error::{ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::layout::{self, DATA_END, ORPHAN_KIND, ORPHANS};
use crate::fs::{FileKind, Inode, Record};
use crate::tree::Key;

/// No block is larger, and all that are smaller divide it.
const PIECE_ALIGNMENT: u64 = 64 << 10;

/// Orphans, at most `limit`, from the smallest number greater than `after`. After a reopen nobody has one open.
pub fn orphans(items: &dyn Items, after: InodeNumber, limit: usize) -> Result<Vec<InodeNumber>> {
    let mut found = Vec::new();
    let first = layout::orphan_key(InodeNumber(after.0.saturating_add(1)));
    if limit > 0 {
        items.scan(first, Key::new(ORPHANS, ORPHAN_KIND, u64::MAX), &mut |key, _| {
            found.push(InodeNumber(key.position));
            found.len() < limit
        })?;
    }
    Ok(found)
}

/// The next step in reaping an orphan: gives back at most about `budget` bytes of its content. Applied, the last
/// step tells [`crate::fs::Outcome::erased`]. `Stale` if there is no such orphan.
///
/// Whoever reaps makes sure that nobody has it open. Steps need not be logged: the orphan of a replay
/// is reaped again.
pub fn plan_reap(items: &dyn Items, inode: InodeNumber, budget: u64) -> Result<Record<'static>> {
    if items.get(layout::orphan_key(inode))?.is_none() {
        return Err(ErrorKind::Stale.into());
    }
    let orphan = Inode::load(items, inode)?;
    let data = match orphan.kind {
        FileKind::Regular => items.seek(inode, 0, DATA_END, true)?,
        _ => None,
    };
    let Some(first) = data else { return Ok(Record::Reap { inode, first: 0, end: 0, last: true }) };
    // Whole blocks, lest a step zeroes bytes without giving back any, and the next one finds them again.
    let end = first.saturating_add(budget.max(1)).min(DATA_END).next_multiple_of(PIECE_ALIGNMENT);
    Ok(Record::Reap { inode, first: first - first % PIECE_ALIGNMENT, end, last: end >= orphan.size })
}
