//! Attributes: sets those that differ from the source's.

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Attributes, Context, FileKind, FileSystem, SetTime, XattrMode};

use crate::workflows::host::{HostObject, Xattrs};

/// All attributes of an object of the host.
pub fn attributes_of(object: &HostObject) -> AttributeChange {
    AttributeChange {
        mode: Some(object.mode),
        uid: Some(object.uid),
        gid: Some(object.gid),
        size: (object.kind == FileKind::Regular).then_some(object.size),
        accessed: Some(SetTime::To(object.accessed)),
        modified: Some(SetTime::To(object.modified)),
        created: object.created,
    }
}

/// Gives `inode` the attributes and extended attributes of `object`. A `fresh` one has no extended attributes yet.
pub fn settle(
    target: &dyn FileSystem,
    context: &Context,
    inode: InodeNumber,
    object: &HostObject,
    xattrs: &Xattrs,
    fresh: bool,
) -> Result<()> {
    if !fresh {
        for name in target.list_xattrs(context, inode)? {
            if !xattrs.contains_key(&name) {
                target.remove_xattr(context, inode, &name)?;
            }
        }
    }
    for (name, value) in xattrs {
        if fresh || !has_xattr(target, context, inode, name, value)? {
            target.set_xattr(context, inode, name, value, XattrMode::Any)?;
        }
    }
    let change = difference(&target.attributes(inode)?, attributes_of(object));
    if change != AttributeChange::default() {
        target.set_attributes(context, inode, &change, None)?;
    }
    Ok(())
}

fn has_xattr(
    target: &dyn FileSystem,
    context: &Context,
    inode: InodeNumber,
    name: &[u8],
    value: &[u8],
) -> Result<bool> {
    match target.xattr(context, inode, name) {
        Ok(found) => Ok(found == value),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What of `wanted` is not so yet.
fn difference(present: &Attributes, wanted: AttributeChange) -> AttributeChange {
    let owner_differs = wanted.uid.is_some_and(|uid| uid != present.uid) || wanted.gid != Some(present.gid);
    let size = wanted.size.filter(|size| *size != present.size);
    AttributeChange {
        // A new owner takes the set-user-id bit away, unless the mode comes with it.
        mode: wanted.mode.filter(|mode| owner_differs || *mode != present.mode),
        uid: wanted.uid.filter(|uid| *uid != present.uid),
        gid: wanted.gid.filter(|gid| *gid != present.gid),
        size,
        accessed: wanted.accessed.filter(|time| *time != SetTime::To(present.accessed)),
        // A new size is a change of content, which sets this time, unless it comes with it.
        modified: wanted.modified.filter(|time| size.is_some() || *time != SetTime::To(present.modified)),
        created: wanted.created.filter(|time| *time != present.created),
    }
}
