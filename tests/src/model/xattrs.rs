//! Extended attributes.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Caller, Context, FileKind, NAME_MAX, XattrMode, access};

use crate::model::state::State;

/// Longest value, in bytes.
const VALUE_MAX: usize = 64 << 10;
/// Most bytes that all names of an inode may have, each with one byte more.
const NAMES_MAX: usize = 64 << 10;

impl State {
    /// The names that the caller may know of.
    pub(super) fn list_xattrs(&self, context: &Context, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
        let names = self.inode(inode)?.xattrs.keys();
        Ok(names.filter(|name| context.caller == Caller::Superuser || !is_trusted(name)).cloned().collect())
    }

    pub(super) fn xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Vec<u8>> {
        check_name(name)?;
        let found = self.inode(inode)?;
        if is_trusted(name) && context.caller != Caller::Superuser {
            return Err(ErrorKind::NotFound.into());
        }
        if !is_privileged(name) {
            self.demand(context, inode, access::READ)?;
        }
        found.xattrs.get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn set_xattr(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()> {
        self.demand_xattr_change(context, inode, name)?;
        if value.len() > VALUE_MAX {
            return Err(ErrorKind::TooLarge.into());
        }
        let xattrs = &self.inode(inode)?.xattrs;
        let exists = xattrs.contains_key(name);
        let names_len: usize = xattrs.keys().map(|name| name.len() + 1).sum();
        match mode {
            XattrMode::Create if exists => return Err(ErrorKind::Exists.into()),
            XattrMode::Replace if !exists => return Err(ErrorKind::NotFound.into()),
            _ if !exists && names_len + name.len() + 1 > NAMES_MAX => return Err(ErrorKind::TooLarge.into()),
            _ => {}
        }
        let found = self.inode_mut(inode);
        found.xattrs.insert(name.to_vec(), value.to_vec());
        found.touch(context.now);
        Ok(())
    }

    pub(super) fn remove_xattr(&mut self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()> {
        self.demand_xattr_change(context, inode, name)?;
        let found = self.inode_mut(inode);
        found.xattrs.remove(name).ok_or(ErrorKind::NotFound)?;
        found.touch(context.now);
        Ok(())
    }

    /// Only files and directories have any, and some are the superuser's.
    fn demand_xattr_change(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()> {
        check_name(name)?;
        let kind = self.inode(inode)?.attributes.kind;
        let ordinary = matches!(kind, FileKind::Regular | FileKind::Directory);
        match &context.caller {
            Caller::Superuser if ordinary || is_privileged(name) => Ok(()),
            Caller::User(_) if ordinary && !is_privileged(name) => self.demand(context, inode, access::WRITE),
            _ => Err(ErrorKind::Permission.into()),
        }
    }
}

fn check_name(name: &[u8]) -> Result<()> {
    match name {
        _ if name.is_empty() || name.contains(&0) => Err(ErrorKind::Invalid.into()),
        _ if name.len() > NAME_MAX => Err(ErrorKind::NameTooLong.into()),
        _ if name.starts_with(b"system.") => Err(ErrorKind::Unsupported.into()),
        _ => Ok(()),
    }
}

fn is_trusted(name: &[u8]) -> bool {
    name.starts_with(b"trusted.")
}

fn is_privileged(name: &[u8]) -> bool {
    is_trusted(name) || name.starts_with(b"security.")
}
