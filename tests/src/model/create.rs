//! Making new objects.
//!
//! Invariant: inode numbers only grow, and a create that fails uses none.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{
    AttributeChange, Caller, Changed, Context, Created, FILE_SIZE_MAX, FileKind, NewObject, SYMLINK_MAX, SetTime,
};

use crate::model::bytes::Pages;
use crate::model::state::{Body, Inode, State, is_member};

impl State {
    pub(super) fn create(
        &mut self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        object: &NewObject,
        mode: u32,
        initial: &AttributeChange,
    ) -> Result<Created> {
        if let Some(found) = self.search(context, directory, name)? {
            return self.created_before(found, directory, object);
        }
        self.demand_new_name(context, directory)?;
        let inode = InodeNumber(self.next_inode);
        let mut new = self.new_inode(context, directory, inode, object, mode)?;
        apply_initial(context, &mut new, initial)?;
        self.next_inode += 1;
        let is_directory = new.attributes.kind == FileKind::Directory;
        let object = new.attributes.clone();
        self.inodes.insert(inode, new);
        let directory = self.change_names(context, directory, |state| {
            state.put_name(directory, name, inode);
            state.inode_mut(directory).attributes.links += u32::from(is_directory);
        })?;
        Ok(Created { object, directory })
    }

    /// The name is taken: by the file that this very exclusive create made before, or by another.
    fn created_before(&self, found: InodeNumber, directory: InodeNumber, object: &NewObject) -> Result<Created> {
        let wanted = match object {
            NewObject::Regular { exclusive } => *exclusive,
            _ => None,
        };
        if wanted.is_none() || self.inode(found)?.exclusive != wanted {
            return Err(ErrorKind::Exists.into());
        }
        let unchanged = self.attributes(directory)?;
        let directory = Changed { before: unchanged.clone(), after: unchanged };
        Ok(Created { object: self.attributes(found)?, directory })
    }

    fn new_inode(
        &self,
        context: &Context,
        directory: InodeNumber,
        inode: InodeNumber,
        object: &NewObject,
        mode: u32,
    ) -> Result<Inode> {
        let (kind, body) = match object {
            NewObject::Regular { .. } => (FileKind::Regular, Body::File(Pages::default())),
            NewObject::Directory => (FileKind::Directory, Body::directory(directory)),
            NewObject::Symlink(target) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(ErrorKind::Invalid.into());
                }
                if target.len() > SYMLINK_MAX {
                    return Err(ErrorKind::NameTooLong.into());
                }
                (FileKind::Symlink, Body::Symlink(target.clone()))
            }
            NewObject::BlockDevice(..) => (FileKind::BlockDevice, Body::Special),
            NewObject::CharacterDevice(..) => (FileKind::CharacterDevice, Body::Special),
            NewObject::Fifo => (FileKind::Fifo, Body::Special),
            NewObject::Socket => (FileKind::Socket, Body::Special),
        };
        let device = match *object {
            NewObject::BlockDevice(major, minor) | NewObject::CharacterDevice(major, minor) => (major, minor),
            _ => (0, 0),
        };
        if kind_needs_superuser(kind) && context.caller != Caller::Superuser {
            return Err(ErrorKind::Permission.into());
        }
        let mut new = Inode::new(inode, kind, body, context.now);
        new.attributes.device = device;
        if let NewObject::Regular { exclusive } = object {
            new.exclusive = *exclusive;
        }
        if let Body::Symlink(target) = &new.body {
            new.attributes.size = target.len() as u64;
        }
        self.put_new_owner(context, directory, &mut new, mode);
        Ok(new)
    }

    /// The caller owns what it makes; in a set-group-id directory the group is the directory's, and
    /// directories hand that bit on.
    fn put_new_owner(&self, context: &Context, directory: InodeNumber, new: &mut Inode, mode: u32) {
        let parent = &self.inodes[&directory].attributes;
        let attributes = &mut new.attributes;
        attributes.mode = mode & 0o7777;
        if let Caller::User(user) = &context.caller {
            (attributes.uid, attributes.gid) = (user.uid, user.gid);
        }
        if attributes.kind == FileKind::Directory {
            attributes.links = 2;
        }
        if parent.mode & 0o2000 != 0 {
            attributes.gid = parent.gid;
            if attributes.kind == FileKind::Directory {
                attributes.mode |= 0o2000;
            } else if !is_member(&context.caller, parent.gid) {
                attributes.mode &= !0o2000;
            }
        }
    }
}

fn kind_needs_superuser(kind: FileKind) -> bool {
    matches!(kind, FileKind::BlockDevice | FileKind::CharacterDevice)
}

/// Sets what a create sets at once, as its new owner may.
fn apply_initial(context: &Context, new: &mut Inode, initial: &AttributeChange) -> Result<()> {
    let attributes = &mut new.attributes;
    if context.caller != Caller::Superuser {
        let gives_away = initial.uid.is_some_and(|uid| uid != attributes.uid);
        let foreign = initial.gid.is_some_and(|gid| gid != attributes.gid && !is_member(&context.caller, gid));
        if gives_away || foreign {
            return Err(ErrorKind::Permission.into());
        }
    }
    if let Some(size) = initial.size.filter(|_| attributes.kind == FileKind::Regular) {
        if size > FILE_SIZE_MAX {
            return Err(ErrorKind::TooLarge.into());
        }
        attributes.size = size;
    }
    let time = |time: SetTime| match time {
        SetTime::Now => context.now,
        SetTime::To(time) => time,
    };
    attributes.mode = initial.mode.map_or(attributes.mode, |mode| mode & 0o7777);
    attributes.uid = initial.uid.unwrap_or(attributes.uid);
    attributes.gid = initial.gid.unwrap_or(attributes.gid);
    attributes.accessed = initial.accessed.map_or(attributes.accessed, time);
    attributes.modified = initial.modified.map_or(attributes.modified, time);
    attributes.created = initial.created.unwrap_or(attributes.created);
    Ok(())
}
