//! Plans links and removals.

use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::directory::{self, Entry};
use crate::fs::layout::ERASE_AT_ONCE_MAX;
use crate::fs::{Changed, Context, Fate, Inode, LINK_MAX, Linked, Plan, Reader, Record};

impl Reader<'_> {
    /// Plans one more name for an object that is no directory.
    pub fn plan_link<'r>(
        &self,
        context: &Context,
        inode: InodeNumber,
        directory: InodeNumber,
        name: &'r [u8],
    ) -> Result<Plan<'r, Linked>> {
        let object = Inode::load(self.items, inode)?;
        let parent = self.searchable(context, directory)?;
        let place = self.place_for_new(directory, name)?;
        if place_is_free(&place) {
            parent.require_adding(&context.caller)?;
        }
        let position = place.free()?;
        match object.links {
            _ if object.is_directory() => Err(ErrorKind::Permission.into()),
            0 => Err(ErrorKind::NotFound.into()),
            LINK_MAX.. => Err(ErrorKind::TooManyLinks.into()),
            _ => Ok(Plan::Record(Record::Link { inode, directory, position, name, now: context.now })),
        }
    }

    /// Plans to remove a name that is no directory's. `retained` tells whether somebody has an inode open.
    pub fn plan_remove(
        &self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        retained: impl Fn(InodeNumber) -> bool,
    ) -> Result<Plan<'static, Changed>> {
        if name == b"." || name == b".." {
            self.searchable(context, directory)?;
            return Err(ErrorKind::IsDirectory.into());
        }
        let (entry, victim) = self.removable(context, directory, name)?;
        if victim.is_directory() {
            return Err(ErrorKind::IsDirectory.into());
        }
        self.removal(context, directory, entry.position, &victim, retained)
    }

    /// Plans to remove an empty directory.
    pub fn plan_remove_directory(
        &self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        retained: impl Fn(InodeNumber) -> bool,
    ) -> Result<Plan<'static, Changed>> {
        if name == b"." || name == b".." {
            self.searchable(context, directory)?;
            return Err(if name == b"." { ErrorKind::Invalid } else { ErrorKind::NotEmpty }.into());
        }
        let (entry, victim) = self.removable(context, directory, name)?;
        if !victim.is_directory() {
            return Err(ErrorKind::NotDirectory.into());
        }
        if !directory::is_empty(self.items, victim.number)? {
            return Err(ErrorKind::NotEmpty.into());
        }
        self.removal(context, directory, entry.position, &victim, retained)
    }

    /// Finds a name that the caller may take out of a directory.
    fn removable(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<(Entry, Inode)> {
        let parent = self.searchable(context, directory)?;
        let (entry, victim) = self.present(directory, name)?;
        parent.require_taking(&context.caller, &victim)?;
        Ok((entry, victim))
    }

    /// Finds a name and its inode.
    pub(super) fn present(&self, directory: InodeNumber, name: &[u8]) -> Result<(Entry, Inode)> {
        directory::check_name(name)?;
        let entry = directory::find(self.items, self.names, directory, name)?.taken();
        let entry = entry.ok_or(Error::from(ErrorKind::NotFound))?;
        let inode = Inode::load(self.items, entry.inode)?;
        Ok((entry, inode))
    }

    fn removal(
        &self,
        context: &Context,
        directory: InodeNumber,
        position: u64,
        victim: &Inode,
        retained: impl Fn(InodeNumber) -> bool,
    ) -> Result<Plan<'static, Changed>> {
        let fate = self.fate_of(victim, retained)?;
        Ok(Plan::Record(Record::Remove { directory, position, inode: victim.number, fate, now: context.now }))
    }

    /// What becomes of an object when a name of it goes.
    pub(super) fn fate_of(&self, victim: &Inode, retained: impl Fn(InodeNumber) -> bool) -> Result<Fate> {
        Ok(if victim.links > 1 && !victim.is_directory() {
            Fate::Keep
        } else if retained(victim.number) || victim.allocated(self.items)? > ERASE_AT_ONCE_MAX {
            Fate::Orphan
        } else {
            Fate::Erase
        })
    }
}

fn place_is_free(place: &directory::Place) -> bool {
    !matches!(place, directory::Place::Taken(_))
}
