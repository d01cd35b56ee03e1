//! Setting attributes: who may set which, and what else that changes.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{
    AttributeChange, Attributes, Caller, Changed, Context, FILE_SIZE_MAX, FileKind, SetTime, access,
};

use crate::model::state::{State, is_member, without_privileges};

impl State {
    pub(super) fn set_attributes(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        change: &AttributeChange,
        guard: Option<Timestamp>,
    ) -> Result<Changed> {
        let before = self.attributes(inode)?;
        self.check_change(context, inode, change)?;
        if guard.is_some_and(|expected| expected != before.changed) {
            return Err(ErrorKind::Conflict.into());
        }
        if *change == AttributeChange::default() {
            return Ok(Changed { after: before.clone(), before });
        }
        if let Some(size) = change.size {
            self.set_size(context, inode, size);
        }
        let found = self.inode_mut(inode);
        found.attributes.mode = mode_after(context, &before, change);
        found.attributes.uid = change.uid.unwrap_or(before.uid);
        found.attributes.gid = change.gid.unwrap_or(before.gid);
        found.touch(context.now);
        found.attributes.accessed = change.accessed.map_or(before.accessed, |time| time_of(time, context));
        if let Some(time) = change.modified {
            found.attributes.modified = time_of(time, context);
        }
        found.attributes.created = change.created.unwrap_or(before.created);
        found.exclusive = None;
        Ok(Changed { before, after: self.attributes(inode)? })
    }

    fn check_change(&self, context: &Context, inode: InodeNumber, change: &AttributeChange) -> Result<()> {
        let present = &self.inode(inode)?.attributes;
        if let Some(size) = change.size {
            check_size(present.kind, size)?;
            self.demand_or_own(context, inode, access::WRITE)?;
        }
        check_owners(context, present, change)?;
        let owners_only = change.mode.is_some() || change.created.is_some();
        if owners_only && !self.owns(context, inode)? {
            return Err(ErrorKind::Permission.into());
        }
        for time in [change.accessed, change.modified].into_iter().flatten() {
            match time {
                SetTime::To(time) if time.nanoseconds >= 1_000_000_000 => return Err(ErrorKind::Invalid.into()),
                SetTime::To(_) if !self.owns(context, inode)? => return Err(ErrorKind::Permission.into()),
                SetTime::To(_) => {}
                SetTime::Now => self.demand_or_own(context, inode, access::WRITE)?,
            }
        }
        check_times(change)
    }
}

/// Only the superuser gives files away; an owner may give them to a group that it is a member of.
pub(super) fn check_owners(context: &Context, present: &Attributes, change: &AttributeChange) -> Result<()> {
    let Caller::User(user) = &context.caller else { return Ok(()) };
    let gives_away = change.uid.is_some_and(|uid| uid != present.uid);
    let foreign = change.gid.is_some_and(|gid| gid != present.gid && !is_member(&context.caller, gid));
    let asks = change.uid.is_some() || change.gid.is_some();
    if gives_away || foreign || (asks && user.uid != present.uid) { Err(ErrorKind::Permission.into()) } else { Ok(()) }
}

/// Fails unless an object of this kind can have this size.
pub(super) fn check_size(kind: FileKind, size: u64) -> Result<()> {
    match kind {
        FileKind::Directory => Err(ErrorKind::IsDirectory.into()),
        FileKind::Regular if size > FILE_SIZE_MAX => Err(ErrorKind::TooLarge.into()),
        FileKind::Regular => Ok(()),
        _ => Err(ErrorKind::Invalid.into()),
    }
}

/// Fails unless all times are times.
pub(super) fn check_times(change: &AttributeChange) -> Result<()> {
    for time in [change.accessed, change.modified, change.created.map(SetTime::To)].into_iter().flatten() {
        if let SetTime::To(time) = time
            && time.nanoseconds >= 1_000_000_000
        {
            return Err(ErrorKind::Invalid.into());
        }
    }
    Ok(())
}

pub(super) fn time_of(time: SetTime, context: &Context) -> Timestamp {
    match time {
        SetTime::Now => context.now,
        SetTime::To(time) => time,
    }
}

/// A new owner or group ends set-user-id and set-group-id, and so does a truncation by a user.
fn mode_after(context: &Context, before: &Attributes, change: &AttributeChange) -> u32 {
    let superuser = context.caller == Caller::Superuser;
    let is_directory = before.kind == FileKind::Directory;
    let new_owner = change.uid.is_some() || change.gid.is_some();
    match change.mode.filter(|_| before.kind != FileKind::Symlink).map(|mode| mode & 0o7777) {
        Some(mode) if superuser => mode,
        Some(mode) if new_owner && !is_directory => mode & !0o6000,
        Some(mode) if !is_member(&context.caller, change.gid.unwrap_or(before.gid)) => mode & !0o2000,
        Some(mode) => mode,
        None if is_directory => before.mode,
        None if new_owner || (change.size.is_some() && !superuser) => without_privileges(before.mode),
        None => before.mode,
    }
}
