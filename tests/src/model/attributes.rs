//! Setting attributes: who may set which, and what else that changes.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{AttributeChange, Caller, Changed, Context, FILE_SIZE_MAX, FileKind, SetTime, access};

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
        if guard.is_some_and(|expected| expected != before.changed) {
            return Err(ErrorKind::Conflict.into());
        }
        if *change == AttributeChange::default() {
            return Ok(Changed { after: before.clone(), before });
        }
        self.check_change(context, inode, change)?;
        if let Some(size) = change.size {
            self.set_size(context, inode, size)?;
        }
        self.put_owner_and_mode(context, inode, change);
        let found = self.inode_mut(inode);
        let time = |time: SetTime| match time {
            SetTime::Now => context.now,
            SetTime::To(time) => time,
        };
        found.touch(context.now);
        found.attributes.accessed = change.accessed.map_or(found.attributes.accessed, time);
        found.attributes.modified = change.modified.map_or(found.attributes.modified, time);
        found.attributes.created = change.created.unwrap_or(found.attributes.created);
        found.exclusive = None;
        Ok(Changed { before, after: self.attributes(inode)? })
    }

    fn check_change(&self, context: &Context, inode: InodeNumber, change: &AttributeChange) -> Result<()> {
        let owns = self.owns(context, inode)?;
        let present = &self.inode(inode)?.attributes;
        let is_given = |time: Option<SetTime>| matches!(time, Some(SetTime::To(_)));
        let owners_only = change.mode.is_some()
            || change.uid.is_some()
            || change.gid.is_some()
            || change.created.is_some()
            || is_given(change.accessed)
            || is_given(change.modified);
        if owners_only && !owns {
            return Err(ErrorKind::Permission.into());
        }
        if context.caller != Caller::Superuser {
            let gives_away = change.uid.is_some_and(|uid| uid != present.uid);
            let foreign = change.gid.is_some_and(|gid| gid != present.gid && !is_member(&context.caller, gid));
            if gives_away || foreign {
                return Err(ErrorKind::Permission.into());
            }
        }
        let writers_may = change.size.is_some() || change.accessed.is_some() || change.modified.is_some();
        if writers_may && !owns {
            self.demand(context, inode, access::WRITE)?;
        }
        if let Some(size) = change.size {
            self.file(inode)?;
            if size > FILE_SIZE_MAX {
                return Err(ErrorKind::TooLarge.into());
            }
        }
        Ok(())
    }

    /// A new owner or group ends set-user-id and set-group-id, unless the mode is set with it.
    fn put_owner_and_mode(&mut self, context: &Context, inode: InodeNumber, change: &AttributeChange) {
        let attributes = &mut self.inode_mut(inode).attributes;
        let new_owner = change.uid.is_some() || change.gid.is_some();
        attributes.uid = change.uid.unwrap_or(attributes.uid);
        attributes.gid = change.gid.unwrap_or(attributes.gid);
        if let Some(mode) = change.mode {
            attributes.mode = mode & 0o7777;
            if !is_member(&context.caller, attributes.gid) {
                attributes.mode &= !0o2000;
            }
        } else if new_owner && attributes.kind != FileKind::Directory {
            attributes.mode = without_privileges(attributes.mode);
        }
    }
}
