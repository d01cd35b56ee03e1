//! Making new objects.
//!
//! Invariant: inode numbers only grow, and a create that fails uses none.

use std::sync::Arc;

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Changed, Context, Created, FileKind, LINK_MAX, NewObject, SYMLINK_MAX};

use crate::model::attributes::{check_owners, check_size, check_times, time_of};
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
        if let Some(found) = self.found_for_new(context, directory, name)? {
            return self.created_before(found, directory, object);
        }
        self.demand_new_name(context, directory)?;
        let inode = InodeNumber(self.next_inode);
        let new = self.new_inode(context, directory, inode, object, initial.mode.unwrap_or(mode))?;
        let new = with_initial(context, new, initial)?;
        self.next_inode += 1;
        let is_directory = new.attributes.kind == FileKind::Directory;
        let object = new.attributes.clone();
        self.inodes.insert(inode, Arc::new(new));
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
            NewObject::Directory if self.inode(directory)?.attributes.links >= LINK_MAX => {
                return Err(ErrorKind::TooManyLinks.into());
            }
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
            }
        }
    }
}

fn kind_needs_superuser(kind: FileKind) -> bool {
    matches!(kind, FileKind::BlockDevice | FileKind::CharacterDevice)
}

/// Sets what a create sets at once, as its new owner may.
fn with_initial(context: &Context, mut new: Inode, initial: &AttributeChange) -> Result<Inode> {
    check_owners(context, &new.attributes, initial)?;
    if let Some(size) = initial.size {
        check_size(new.attributes.kind, size)?;
        new.attributes.size = size;
    }
    check_times(initial)?;
    let attributes = &mut new.attributes;
    attributes.uid = initial.uid.unwrap_or(attributes.uid);
    attributes.gid = initial.gid.unwrap_or(attributes.gid);
    attributes.accessed = initial.accessed.map_or(attributes.accessed, |time| time_of(time, context));
    attributes.modified = initial.modified.map_or(attributes.modified, |time| time_of(time, context));
    attributes.created = initial.created.unwrap_or(attributes.created);
    match attributes.kind {
        FileKind::Symlink => attributes.mode = 0o777,
        FileKind::Directory => {}
        _ if !is_member(&context.caller, attributes.gid) => attributes.mode &= !0o2000,
        _ => {}
    }
    Ok(new)
}
