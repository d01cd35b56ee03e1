//! Applies what changes names: create, link, remove and rename.

use crate::content::ItemsMut;
use crate::error::Result;
use crate::format::{InodeNumber, Timestamp};
use crate::fs::apply::content::erase;
use crate::fs::apply::{Effect, Outcome};
use crate::fs::layout::{self, CHUNK_LENGTH, ENTRY_SIZE};
use crate::fs::{Changed, Created, Fate, FileKind, Inode, Linked, NamePlace, Renamed, directory, links};

/// A name, and the place to put it.
pub(super) type NewName<'a> = (NamePlace, &'a [u8]);

pub(super) fn create(
    items: &mut dyn ItemsMut,
    name: NewName<'_>,
    inode: &Inode,
    target: &[u8],
    now: Timestamp,
) -> Result<Outcome> {
    inode.store(items)?;
    for (number, part) in target.chunks(CHUNK_LENGTH).enumerate() {
        items.put(layout::target_key(inode.number, number as u64), part.to_vec())?;
    }
    put_entry(items, name, inode)?;
    let directory = change_directory(items, name.0.directory, 1, i64::from(inode.is_directory()), now)?;
    let mut outcome = Outcome::of(Effect::Created(Created { object: inode.attributes(items)?, directory }));
    (outcome.inodes, outcome.taken) = (1, Some(inode.number));
    Ok(outcome)
}

pub(super) fn link(items: &mut dyn ItemsMut, inode: InodeNumber, name: NewName<'_>, now: Timestamp) -> Result<Outcome> {
    let mut inode = Inode::load(&*items, inode)?;
    inode.links = inode.links.saturating_add(1);
    inode.touch(now);
    inode.store(items)?;
    links::add(items, inode.number, name.0)?;
    put_entry(items, name, &inode)?;
    let directory = change_directory(items, name.0.directory, 1, 0, now)?;
    Ok(Outcome::of(Effect::Linked(Linked { object: inode.attributes(items)?, directory })))
}

pub(super) fn remove(
    items: &mut dyn ItemsMut,
    place: NamePlace,
    victim: (InodeNumber, Fate),
    now: Timestamp,
) -> Result<Outcome> {
    items.delete(layout::entry_key(place.directory, place.position))?;
    let mut outcome = Outcome::of(Effect::None);
    let kind = drop_link(items, place, victim, now, &mut outcome)?;
    let subdirectories = -i64::from(kind == FileKind::Directory);
    outcome.effect = Effect::Changed(change_directory(items, place.directory, -1, subdirectories, now)?);
    Ok(outcome)
}

pub(super) fn rename(
    items: &mut dyn ItemsMut,
    from: NamePlace,
    to: NewName<'_>,
    replaced: Option<(InodeNumber, Fate)>,
    now: Timestamp,
) -> Result<Outcome> {
    let moved = directory::entry_at(&*items, from.directory, from.position)?;
    let mut moved = Inode::load(&*items, moved.inode)?;
    items.delete(layout::entry_key(from.directory, from.position))?;
    put_entry(items, to, &moved)?;
    let mut outcome = Outcome::of(Effect::None);
    if let Some(replaced) = replaced {
        drop_link(items, to.0, replaced, now, &mut outcome)?;
    }
    links::replace(items, &mut moved, from, to.0)?;
    moved.touch(now);
    moved.store(items)?;
    // What is replaced is a directory exactly if what is moved is one.
    let subdirectory = i64::from(moved.is_directory());
    let kept = i64::from(replaced.is_none());
    let (from, to) = (from.directory, to.0.directory);
    outcome.effect = Effect::Renamed(if from == to {
        let changed = change_directory(items, to, kept - 1, subdirectory * (kept - 1), now)?;
        Renamed { from: changed.clone(), to: changed }
    } else {
        let from = change_directory(items, from, -1, -subdirectory, now)?;
        Renamed { from, to: change_directory(items, to, kept, subdirectory * kept, now)? }
    });
    Ok(outcome)
}

fn put_entry(items: &mut dyn ItemsMut, (place, name): NewName<'_>, inode: &Inode) -> Result<()> {
    items.put(layout::entry_key(place.directory, place.position), directory::encode(inode.number, inode.kind, name))
}

/// Takes the link at a place from an object, with what follows from that. Returns its kind.
fn drop_link(
    items: &mut dyn ItemsMut,
    place: NamePlace,
    (inode, fate): (InodeNumber, Fate),
    now: Timestamp,
    outcome: &mut Outcome,
) -> Result<FileKind> {
    let mut object = Inode::load(&*items, inode)?;
    match fate {
        Fate::Keep => {
            object.links = object.links.saturating_sub(1);
            links::remove(items, &mut object, place)?;
        }
        Fate::Orphan => {
            object.links = 0;
            items.put(layout::orphan_key(inode), vec![ORPHAN_VERSION])?;
            outcome.orphaned = Some(inode);
        }
        Fate::Erase => {
            erase(items, &mut object)?;
            (outcome.inodes, outcome.erased) = (-1, Some(inode));
            return Ok(object.kind);
        }
    }
    object.touch(now);
    object.store(items)?;
    Ok(object.kind)
}

/// The value of an orphan's item: there is no more to say of it yet.
const ORPHAN_VERSION: u8 = 1;

/// Notes that a directory got or lost entries and subdirectories.
fn change_directory(
    items: &mut dyn ItemsMut,
    directory: InodeNumber,
    entries: i64,
    subdirectories: i64,
    now: Timestamp,
) -> Result<Changed> {
    let mut directory = Inode::load(&*items, directory)?;
    let before = directory.attributes(items)?;
    directory.size = directory.size.saturating_add_signed(entries * ENTRY_SIZE as i64);
    directory.links = directory.links.saturating_add_signed(subdirectories as i32);
    directory.modified = now;
    directory.touch(now);
    directory.store(items)?;
    Ok(Changed { before, after: directory.attributes(items)? })
}
