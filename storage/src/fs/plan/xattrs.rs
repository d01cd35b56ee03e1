//! Plans changes of extended attributes.

use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::layout::{XATTR_NAMES_MAX, XATTR_VALUE_MAX};
use crate::fs::xattrs::{self, Place};
use crate::fs::{Context, Inode, Reader, Record, XattrMode};

impl Reader<'_> {
    /// Plans to set an extended attribute; its value is at most 64 KiB.
    pub fn plan_set_xattr<'r>(
        &self,
        context: &Context,
        inode: InodeNumber,
        name: &'r [u8],
        value: &'r [u8],
        mode: XattrMode,
    ) -> Result<Record<'r>> {
        let object = self.with_writable_xattr(context, inode, name)?;
        if value.len() > XATTR_VALUE_MAX {
            return Err(Error::new(ErrorKind::TooLarge, "an extended attribute's value is longer than 64 KiB"));
        }
        let place = xattrs::find(self.items, self.names, inode, name)?;
        match (&place, mode) {
            (Place::Taken(_), XattrMode::Create) => return Err(ErrorKind::Exists.into()),
            (Place::Free(_) | Place::Full, XattrMode::Replace) => return Err(ErrorKind::NotFound.into()),
            (Place::Free(_), _) if object.xattr_names + xattrs::name_size(name) > XATTR_NAMES_MAX => {
                return Err(Error::new(ErrorKind::TooLarge, "the names of extended attributes are more than 64 KiB"));
            }
            _ => {}
        }
        Ok(Record::SetXattr { inode, position: place.any()?, name, value, now: context.now })
    }

    /// Plans to remove an extended attribute.
    pub fn plan_remove_xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Record<'static>> {
        self.with_writable_xattr(context, inode, name)?;
        let found = xattrs::find(self.items, self.names, inode, name)?.taken();
        let position = found.ok_or(Error::from(ErrorKind::NotFound))?;
        Ok(Record::RemoveXattr { inode, position, now: context.now })
    }

    fn with_writable_xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Inode> {
        xattrs::check_name(name)?;
        let object = Inode::load(self.items, inode)?;
        xattrs::require_writing(&object, &context.caller, name)?;
        Ok(object)
    }
}
