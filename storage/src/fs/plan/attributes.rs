//! Plans the setting of attributes.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::permission::{SETGID, SETUID};
use crate::fs::{
    AttributeChange, Caller, Changed, Context, FILE_SIZE_MAX, FileKind, Inode, Plan, Reader, Record, SetTime, Settings,
    access,
};

impl Reader<'_> {
    /// Plans to set attributes. Where `guard` is given and is not the inode's `changed`, fails with `Conflict`.
    pub fn plan_set_attributes(
        &self,
        context: &Context,
        inode: InodeNumber,
        change: &AttributeChange,
        guard: Option<Timestamp>,
    ) -> Result<Plan<'static, Changed>> {
        let present = Inode::load(self.items, inode)?;
        let set = settings(context, &present, change)?;
        if guard.is_some_and(|guard| guard != present.changed) {
            return Err(ErrorKind::Conflict.into());
        }
        if *change == AttributeChange::default() {
            let attributes = present.attributes(self.items)?;
            return Ok(Plan::Nothing(Changed { before: attributes.clone(), after: attributes }));
        }
        Ok(Plan::Record(Record::SetAttributes { inode, set, now: context.now }))
    }
}

/// What `change` makes of an inode's attributes, if the caller may make it.
fn settings(context: &Context, inode: &Inode, change: &AttributeChange) -> Result<Settings> {
    let caller = &context.caller;
    if let Some(size) = change.size {
        check_size(inode, size)?;
        inode.require_writing(caller)?;
    }
    check_owners(caller, inode, change)?;
    if change.mode.is_some() || change.created.is_some() {
        inode.require_owner(caller)?;
    }
    check_times(caller, inode, change)?;
    Ok(Settings {
        mode: mode_after(caller, inode, change),
        uid: change.uid,
        gid: change.gid,
        size: change.size,
        accessed: change.accessed.map(|time| time_of(time, context.now)),
        modified: change.modified.map(|time| time_of(time, context.now)),
        created: change.created,
    })
}

/// Checks that an inode can have this size.
pub(super) fn check_size(inode: &Inode, size: u64) -> Result<()> {
    match inode.kind {
        FileKind::Regular if size <= FILE_SIZE_MAX => Ok(()),
        FileKind::Regular => Err(ErrorKind::TooLarge.into()),
        FileKind::Directory => Err(ErrorKind::IsDirectory.into()),
        _ => Err(ErrorKind::Invalid.into()),
    }
}

/// Only the superuser gives files away; an owner may give them to a group that it is a member of.
pub(super) fn check_owners(caller: &Caller, inode: &Inode, change: &AttributeChange) -> Result<()> {
    let uid_allowed = change.uid.is_none_or(|uid| uid == inode.uid);
    let gid_allowed = change.gid.is_none_or(|gid| gid == inode.gid || caller.is_member(gid));
    match caller {
        Caller::Superuser => Ok(()),
        Caller::User(_) if change.uid.is_none() && change.gid.is_none() => Ok(()),
        Caller::User(_) if uid_allowed && gid_allowed => inode.require_owner(caller),
        Caller::User(_) => Err(ErrorKind::Permission.into()),
    }
}

fn check_times(caller: &Caller, inode: &Inode, change: &AttributeChange) -> Result<()> {
    for time in [change.accessed, change.modified].into_iter().flatten() {
        match time {
            SetTime::To(time) => {
                check_time(time)?;
                inode.require_owner(caller)?;
            }
            SetTime::Now if caller.is_owner(inode.uid) => {}
            SetTime::Now => inode.require(caller, access::WRITE)?,
        }
    }
    change.created.map_or(Ok(()), check_time)
}

pub(super) fn check_time(time: Timestamp) -> Result<()> {
    if time.nanoseconds < 1_000_000_000 {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Invalid, "a time has a second's worth of nanoseconds or more"))
    }
}

pub(super) fn time_of(time: SetTime, now: Timestamp) -> Timestamp {
    match time {
        SetTime::Now => now,
        SetTime::To(time) => time,
    }
}

/// The mode after a change, if there is a reason for another: it is set, the owners are, or the content is cut. It is
/// told even where it is the present one, which a crash may take back.
fn mode_after(caller: &Caller, inode: &Inode, change: &AttributeChange) -> Option<u32> {
    let chown = change.uid.is_some() || change.gid.is_some();
    let superuser = *caller == Caller::Superuser;
    // A symbolic link's mode means nothing and stays what it is.
    let wanted = change.mode.filter(|_| inode.kind != FileKind::Symlink).map(|mode| mode & 0o7777);
    match wanted {
        Some(mode) if superuser => Some(mode),
        Some(mode) if chown && !inode.is_directory() => Some(mode & !(SETUID | SETGID)),
        Some(mode) if !caller.is_member(change.gid.unwrap_or(inode.gid)) => Some(mode & !SETGID),
        Some(mode) => Some(mode),
        // As on Linux, a change of owner takes these bits whoever makes it, and a truncation by others.
        None if chown || (change.size.is_some() && !superuser) => Some(inode.mode_without_setid()),
        None => None,
    }
}
