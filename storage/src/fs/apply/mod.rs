//! Performs a record. It checks nothing that the plan has checked.
//!
//! Invariant: what a record does depends on the record and the items only, so that replaying records
//! on the state they were planned on gives the same items.

mod content;
mod names;

use crate::content::ItemsMut;
use crate::error::Result;
use crate::format::{InodeNumber, Timestamp};
use crate::fs::{Changed, Created, FileKind, Inode, Linked, NamePlace, Record, Renamed};

/// What a record did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer to the caller.
    pub effect: Effect,
    /// How the number of inodes in use changed: 1, 0 or -1. Orphans are in use.
    pub inodes: i64,
    /// The number that a new inode took.
    pub taken: Option<InodeNumber>,
    /// The inode that lost its last name and waits to be reaped.
    pub orphaned: Option<InodeNumber>,
    /// The inode that is gone, with all its items.
    pub erased: Option<InodeNumber>,
}

/// The attributes around a change, by kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Of the file (write, set attributes, punch, xattrs), or of the directory (remove).
    Changed(Changed),
    /// Of a create.
    Created(Created),
    /// Of a link.
    Linked(Linked),
    /// Of a rename.
    Renamed(Renamed),
    /// Nobody asks: of a reap.
    None,
}

impl Outcome {
    fn of(effect: Effect) -> Self {
        Self { effect, inodes: 0, taken: None, orphaned: None, erased: None }
    }

    /// The effect of a record other than create, link, rename and reap.
    pub fn changed(self) -> Changed {
        match self.effect {
            Effect::Changed(changed) => changed,
            other => panic!("asked for the attributes around a change, but the record had {other:?}"),
        }
    }

    /// The effect of a create.
    pub fn created(self) -> Created {
        match self.effect {
            Effect::Created(created) => created,
            other => panic!("asked for what was created, but the record had {other:?}"),
        }
    }

    /// The effect of a link.
    pub fn linked(self) -> Linked {
        match self.effect {
            Effect::Linked(linked) => linked,
            other => panic!("asked for what was linked, but the record had {other:?}"),
        }
    }

    /// The effect of a rename.
    pub fn renamed(self) -> Renamed {
        match self.effect {
            Effect::Renamed(renamed) => renamed,
            other => panic!("asked for what was renamed, but the record had {other:?}"),
        }
    }
}

/// Performs a planned record, or one read from the log. Fails only where reading or writing items does,
/// or with `Stale`, `NotFound` or `Corrupt` if the record was not planned on this state.
pub fn apply(items: &mut dyn ItemsMut, record: &Record<'_>) -> Result<Outcome> {
    match *record {
        Record::Write { .. }
        | Record::SetAttributes { .. }
        | Record::Punch { .. }
        | Record::SetXattr { .. }
        | Record::RemoveXattr { .. } => Ok(Outcome::of(Effect::Changed(content::change(items, record)?))),
        Record::Create { directory, position, name, ref inode, target, now } => {
            names::create(items, (NamePlace { directory, position }, name), inode, target, now)
        }
        Record::Link { inode, directory, position, name, now } => {
            names::link(items, inode, (NamePlace { directory, position }, name), now)
        }
        Record::Remove { directory, position, inode, fate, now } => {
            names::remove(items, NamePlace { directory, position }, (inode, fate), now)
        }
        Record::Rename { from_directory, from_position, to_directory, to_position, name, replaced, now } => {
            let from = NamePlace { directory: from_directory, position: from_position };
            let to = NamePlace { directory: to_directory, position: to_position };
            names::rename(items, from, (to, name), replaced, now)
        }
        Record::Reap { inode, first, end, last } => content::reap(items, inode, first..end, last),
    }
}

/// Makes the root directory of a new dataset. It adds one inode.
pub fn make_root(items: &mut dyn ItemsMut, now: Timestamp, uid: u32, gid: u32, mode: u32) -> Result<()> {
    let mut root = Inode::new(InodeNumber::ROOT, FileKind::Directory, now);
    (root.uid, root.gid, root.mode) = (uid, gid, mode & 0o7777);
    root.store(items)
}
