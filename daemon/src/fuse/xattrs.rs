//! Requests about extended attributes.

use cow_storage::error::ErrorKind;
use cow_storage::format::InodeNumber;
use cow_storage::fs::XattrMode;
use fuser::Errno;

use crate::fuse::caller::Asker;
use crate::fuse::failure::{Failure, Outcome};
use crate::fuse::volume::Volume;

const CREATE: i32 = 1;
const REPLACE: i32 = 2;

/// What names begin with.
const CLASSES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

/// What is told of bytes that a caller may only want to know the length of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sized {
    /// Their number.
    Length(u32),
    /// All of them.
    Bytes(Vec<u8>),
}

impl Volume {
    /// A value, or its length where `size` is 0.
    pub fn xattr(&self, asker: Asker, inode: InodeNumber, name: &[u8], size: u32) -> Outcome<Sized> {
        check_class(name)?;
        let value = self.permitted(asker, |context| self.files().xattr(context, inode, name)).map_err(renamed)?;
        sized(value, size)
    }

    /// All names, each with a NUL behind it, or their length where `size` is 0.
    pub fn list_xattrs(&self, asker: Asker, inode: InodeNumber, size: u32) -> Outcome<Sized> {
        let names = self.permitted(asker, |context| self.files().list_xattrs(context, inode))?;
        let joined = names.iter().flat_map(|name| name.iter().copied().chain([0])).collect();
        sized(joined, size)
    }

    /// Sets a value.
    pub fn set_xattr(&self, asker: Asker, inode: InodeNumber, name: &[u8], value: &[u8], flags: i32) -> Outcome<()> {
        self.check_writable()?;
        check_class(name)?;
        let mode = match flags {
            0 => XattrMode::Any,
            CREATE => XattrMode::Create,
            REPLACE => XattrMode::Replace,
            _ => return Err(Errno::EINVAL.into()),
        };
        let set = self.permitted(asker, |context| match self.files().set_xattr(context, inode, name, value, mode) {
            // The value is no longer than the kernel allows: it is all names together that are too long.
            Err(error) if error.kind() == ErrorKind::TooLarge => Err(ErrorKind::NoSpace.into()),
            other => other,
        });
        set.map_err(renamed)
    }

    /// Removes an attribute.
    pub fn remove_xattr(&self, asker: Asker, inode: InodeNumber, name: &[u8]) -> Outcome<()> {
        self.check_writable()?;
        check_class(name)?;
        self.permitted(asker, |context| self.files().remove_xattr(context, inode, name)).map_err(renamed)
    }
}

/// Fails for a class of attributes that Linux does not know on a disk.
fn check_class(name: &[u8]) -> Outcome<()> {
    let is_known = CLASSES.iter().any(|class| name.starts_with(class));
    if is_known { Ok(()) } else { Err(Errno::EOPNOTSUPP.into()) }
}

/// An attribute that is not there is no file that is not there.
fn renamed(failure: Failure) -> Failure {
    if failure.0 == Errno::ENOENT { Failure(Errno::NO_XATTR) } else { failure }
}

fn sized(bytes: Vec<u8>, size: u32) -> Outcome<Sized> {
    match size {
        0 => Ok(Sized::Length(bytes.len() as u32)),
        _ if bytes.len() > size as usize => Err(Errno::ERANGE.into()),
        _ => Ok(Sized::Bytes(bytes)),
    }
}
