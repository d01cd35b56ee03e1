//! Extended attributes.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Context, NAME_MAX, XattrMode, access};

use crate::model::state::State;

/// Longest value, in bytes.
const VALUE_MAX: usize = 64 << 10;

impl State {
    pub(super) fn list_xattrs(&self, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
        Ok(self.inode(inode)?.xattrs.keys().cloned().collect())
    }

    pub(super) fn xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Vec<u8>> {
        self.demand_or_own(context, inode, access::READ)?;
        self.inode(inode)?.xattrs.get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn set_xattr(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()> {
        let exists = self.inode(inode)?.xattrs.contains_key(name);
        if name.len() > NAME_MAX {
            return Err(ErrorKind::NameTooLong.into());
        }
        if name.is_empty() || name.contains(&0) {
            return Err(ErrorKind::Invalid.into());
        }
        if value.len() > VALUE_MAX {
            return Err(ErrorKind::TooLarge.into());
        }
        self.demand_or_own(context, inode, access::WRITE)?;
        match mode {
            XattrMode::Create if exists => return Err(ErrorKind::Exists.into()),
            XattrMode::Replace if !exists => return Err(ErrorKind::NotFound.into()),
            _ => {}
        }
        let found = self.inode_mut(inode);
        found.xattrs.insert(name.to_vec(), value.to_vec());
        found.touch(context.now);
        Ok(())
    }

    pub(super) fn remove_xattr(&mut self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()> {
        self.inode(inode)?;
        self.demand_or_own(context, inode, access::WRITE)?;
        let found = self.inode_mut(inode);
        found.xattrs.remove(name).ok_or(ErrorKind::NotFound)?;
        found.touch(context.now);
        Ok(())
    }
}
