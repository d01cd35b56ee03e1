//! Requests about names: to find, make, link, rename and remove them.

use cow_storage::error::ErrorKind;
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Attributes, Changed, FileKind, NewObject, Renamed};
use fuser::{Errno, RenameFlags};

use crate::fuse::caller::Asker;
use crate::fuse::failure::Outcome;
use crate::fuse::volume::{Volume, patiently};

/// How often a create follows a name that comes and goes.
const ATTEMPTS_MAX: usize = 8;

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'n> {
    /// The directory.
    pub directory: InodeNumber,
    /// The name.
    pub name: &'n [u8],
}

impl Volume {
    /// Finds a name.
    pub fn look_up(&self, asker: Asker, at: Place<'_>) -> Outcome<Attributes> {
        let found = self.permitted(asker, |context| self.files().lookup(context, at.directory, at.name))?;
        self.nodes.look_up(found.inode);
        Ok(found)
    }

    /// Makes what is not there yet.
    pub fn make(&self, asker: Asker, at: Place<'_>, object: &NewObject, mode: u32) -> Outcome<Attributes> {
        self.check_name(at.directory, at.name)?;
        let (identity, context) = self.identified(asker)?;
        let initial = self.initial(at.directory, &identity)?;
        let make = || self.files().create(&context, at.directory, at.name, object, mode & 0o7777, &initial);
        let made = patiently(make)?;
        self.nodes.look_up(made.object.inode);
        Ok(made.object)
    }

    /// Makes a file, or finds the one that somebody else has made since the kernel looked. Tells which.
    pub fn make_or_find(&self, asker: Asker, at: Place<'_>, mode: u32, exclusive: bool) -> Outcome<(Attributes, bool)> {
        for _ in 0..ATTEMPTS_MAX {
            match self.make(asker, at, &NewObject::Regular { exclusive: None }, mode) {
                Ok(made) => return Ok((made, true)),
                Err(failure) if failure.0 != Errno::EEXIST || exclusive => return Err(failure),
                Err(_) => {}
            }
            match self.look_up(asker, at) {
                Ok(found) if found.kind == FileKind::Regular => return Ok((found, false)),
                Ok(found) => {
                    self.nodes.forget(found.inode, 1);
                    return Err(Errno::EEXIST.into());
                }
                Err(failure) if failure.0 == Errno::ENOENT => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Errno::EBUSY.into())
    }

    /// Gives an object one more name.
    pub fn link(&self, asker: Asker, inode: InodeNumber, at: Place<'_>) -> Outcome<Attributes> {
        self.check_name(at.directory, at.name)?;
        let linked = self.permitted(asker, |context| self.files().link(context, inode, at.directory, at.name))?;
        self.nodes.look_up(inode);
        Ok(linked.object)
    }

    /// Removes a name that is no directory's.
    pub fn remove(&self, asker: Asker, at: Place<'_>) -> Outcome<Changed> {
        self.check_writable()?;
        self.permitted(asker, |context| self.files().remove(context, at.directory, at.name))
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, asker: Asker, at: Place<'_>) -> Outcome<Changed> {
        self.check_writable()?;
        self.permitted(asker, |context| self.files().remove_directory(context, at.directory, at.name))
    }

    /// Renames.
    pub fn rename(&self, asker: Asker, from: Place<'_>, to: Place<'_>, flags: RenameFlags) -> Outcome<Renamed> {
        self.check_name(to.directory, to.name)?;
        if !(flags & !RenameFlags::RENAME_NOREPLACE).is_empty() {
            return Err(Errno::EINVAL.into());
        }
        match self.files().lookup(&self.as_opener(), to.directory, to.name) {
            // The kernel lets nobody else of this host at the directory meanwhile; an NFS client may still come between.
            Ok(_) if flags.contains(RenameFlags::RENAME_NOREPLACE) => return Err(Errno::EEXIST.into()),
            Ok(_) => self.sync_new_content(from)?,
            Err(_) => {}
        }
        self.permitted(asker, |context| self.files().rename(context, from.directory, from.name, to.directory, to.name))
    }

    /// What takes another file's place is durable first: programs that write a new file and rename it over the
    /// old one count on finding one of the two after a crash.
    fn sync_new_content(&self, from: Place<'_>) -> Outcome<()> {
        match self.files().lookup(&self.as_opener(), from.directory, from.name) {
            Ok(file) if file.kind == FileKind::Regular => match self.files().sync(file.inode) {
                Err(error) if error.kind() != ErrorKind::Stale => Err(error.into()),
                _ => Ok(()),
            },
            // The rename itself says what is wrong.
            _ => Ok(()),
        }
    }

    /// A symbolic link's target.
    pub fn read_link(&self, inode: InodeNumber) -> Outcome<Vec<u8>> {
        Ok(self.files().read_link(&self.as_opener(), inode)?)
    }
}
