//! Applies what changes one inode: its bytes, attributes, extended attributes, and its end.

use std::ops::Range;

use crate::content::ItemsMut;
use crate::error::Result;
use crate::format::{InodeNumber, Timestamp};
use crate::fs::apply::{Effect, Outcome};
use crate::fs::layout::{self, DATA_END};
use crate::fs::{Changed, FileKind, Inode, Record, Settings, xattrs};

/// Applies a record that changes the one inode it names.
pub(super) fn change(items: &mut dyn ItemsMut, record: &Record<'_>) -> Result<Changed> {
    match *record {
        Record::Write { inode, offset, bytes, modified, changed, clear_setid } => {
            around(items, inode, |items, file| {
                items.write(inode, offset, bytes)?;
                file.size = file.size.max(offset + bytes.len() as u64);
                note_content_change(file, clear_setid, modified);
                Ok(changed)
            })
        }
        Record::Punch { inode, first, end, clear_setid, now } => around(items, inode, |items, file| {
            items.punch(inode, first, end)?;
            note_content_change(file, clear_setid, now);
            Ok(now)
        }),
        Record::SetAttributes { inode, ref set, now } => around(items, inode, |items, inode| {
            set_attributes(items, inode, set, now)?;
            Ok(now)
        }),
        Record::SetXattr { inode, position, name, value, now } => around(items, inode, |items, inode| {
            xattrs::put(items, inode, position, name, value)?;
            Ok(now)
        }),
        Record::RemoveXattr { inode, position, now } => around(items, inode, |items, inode| {
            xattrs::delete(items, inode, position)?;
            Ok(now)
        }),
        _ => unreachable!("the other records change names, or reap"),
    }
}

/// Loads an inode, changes it, and stores it with the time of change that `act` returns.
fn around(
    items: &mut dyn ItemsMut,
    inode: InodeNumber,
    act: impl FnOnce(&mut dyn ItemsMut, &mut Inode) -> Result<Timestamp>,
) -> Result<Changed> {
    let mut inode = Inode::load(&*items, inode)?;
    let before = inode.attributes(items)?;
    let changed = act(items, &mut inode)?;
    inode.touch(changed);
    inode.store(items)?;
    Ok(Changed { before, after: inode.attributes(items)? })
}

fn note_content_change(file: &mut Inode, clear_setid: bool, modified: Timestamp) {
    file.modified = modified;
    if clear_setid {
        file.mode = file.mode_without_setid();
    }
}

fn set_attributes(items: &mut dyn ItemsMut, inode: &mut Inode, set: &Settings, now: Timestamp) -> Result<()> {
    if let Some(size) = set.size {
        if size < inode.size {
            // To the end of all offsets: the last block, which the size cuts, is given back too.
            items.punch(inode.number, size, DATA_END)?;
        }
        inode.size = size;
        inode.modified = now;
    }
    inode.mode = set.mode.unwrap_or(inode.mode);
    inode.uid = set.uid.unwrap_or(inode.uid);
    inode.gid = set.gid.unwrap_or(inode.gid);
    inode.accessed = set.accessed.unwrap_or(inode.accessed);
    inode.modified = set.modified.unwrap_or(inode.modified);
    inode.created = set.created.unwrap_or(inode.created);
    inode.exclusive = None;
    Ok(())
}

/// Gives back a piece of an orphan, and with the last one the orphan.
pub(super) fn reap(items: &mut dyn ItemsMut, inode: InodeNumber, piece: Range<u64>, last: bool) -> Result<Outcome> {
    let mut outcome = Outcome::of(Effect::None);
    let mut orphan = Inode::load(&*items, inode)?;
    if last {
        erase(items, &mut orphan)?;
        items.delete(layout::orphan_key(inode))?;
        (outcome.inodes, outcome.erased) = (-1, Some(inode));
    } else {
        items.punch(inode, piece.start, piece.end)?;
    }
    Ok(outcome)
}

/// Removes all that an inode has in the tree.
pub(super) fn erase(items: &mut dyn ItemsMut, inode: &mut Inode) -> Result<()> {
    match inode.kind {
        FileKind::Regular if inode.size > 0 => items.punch(inode.number, 0, DATA_END)?,
        FileKind::Symlink => {
            for chunk in 0..inode.size.div_ceil(layout::CHUNK_LENGTH as u64) {
                items.delete(layout::target_key(inode.number, chunk))?;
            }
        }
        _ => {}
    }
    xattrs::delete_all(items, inode)?;
    items.delete(layout::inode_key(inode.number))
}
