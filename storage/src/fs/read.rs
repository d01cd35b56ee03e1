//! Questions to a file system's present state.

use crate::content::Items;
use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::directory::{self, Names};
use crate::fs::{
    Attributes, Context, DirectoryEntry, DirectoryPage, FileKind, Inode, ReadOutcome, SeekTarget, access, layout,
    xattrs,
};

/// Reads one state of a dataset, and plans changes to it.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub(crate) items: &'a dyn Items,
    pub(crate) names: &'a Names,
}

impl<'a> Reader<'a> {
    /// Reads from `items`, whose names are hashed by `names`.
    pub fn new(items: &'a dyn Items, names: &'a Names) -> Self {
        Self { items, names }
    }

    /// An inode's attributes. `Stale` if there is none; an orphan has no links.
    pub fn attributes(&self, inode: InodeNumber) -> Result<Attributes> {
        Inode::load(self.items, inode)?.attributes(self.items)
    }

    /// Checks that the caller has all `wanted` bits of [`access`].
    pub fn access(&self, context: &Context, inode: InodeNumber, wanted: u8) -> Result<()> {
        Inode::load(self.items, inode)?.require(&context.caller, wanted)
    }

    /// Finds a name; `.` and `..` work.
    pub fn lookup(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Attributes> {
        let inode = self.searchable(context, directory)?;
        match name {
            b"." => inode.attributes(self.items),
            b".." => self.attributes(inode.parent()),
            _ => {
                directory::check_name(name)?;
                let entry = directory::find(self.items, self.names, directory, name)?.taken();
                self.attributes(entry.ok_or(Error::from(ErrorKind::NotFound))?.inode)
            }
        }
    }

    /// A directory in which the caller may look up names.
    pub(crate) fn searchable(&self, context: &Context, directory: InodeNumber) -> Result<Inode> {
        let inode = Inode::load_directory(self.items, directory)?;
        inode.require(&context.caller, access::EXECUTE)?;
        Ok(inode)
    }

    /// A symbolic link's target; `Invalid` if it is none.
    pub fn read_link(&self, inode: InodeNumber) -> Result<Vec<u8>> {
        let link = Inode::load(self.items, inode)?;
        if link.kind != FileKind::Symlink {
            return Err(ErrorKind::Invalid.into());
        }
        let mut target = Vec::new();
        self.items.scan(layout::target_key(inode, 0), layout::target_key(inode, u64::MAX), &mut |_, part| {
            target.extend_from_slice(part);
            true
        })?;
        if target.len() as u64 == link.size { Ok(target) } else { Err(ErrorKind::Corrupt.into()) }
    }

    /// Reads into `buffer`'s front what the file has there.
    pub fn read(&self, context: &Context, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<ReadOutcome> {
        let file = Inode::load_regular(self.items, inode)?;
        file.require_reading(&context.caller)?;
        let rest = file.size.saturating_sub(offset);
        let length = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        if length > 0 {
            self.items.read(inode, offset, &mut buffer[..length])?;
        }
        Ok(ReadOutcome { length, end_of_file: length as u64 == rest })
    }

    /// Entries whose cookie is greater than `after`, at most `limit` of them.
    pub fn read_directory(
        &self,
        context: &Context,
        directory: InodeNumber,
        after: u64,
        limit: usize,
    ) -> Result<DirectoryPage> {
        Inode::load_directory(self.items, directory)?.require(&context.caller, access::READ)?;
        let mut page = DirectoryPage { entries: Vec::new(), end: true };
        directory::list(self.items, directory, after, &mut |entry, name| {
            page.end = page.entries.len() < limit;
            if page.end {
                let (inode, kind, cookie) = (entry.inode, entry.kind, entry.position);
                page.entries.push(DirectoryEntry { name: name.to_vec(), inode, kind, cookie });
            }
            page.end
        })?;
        Ok(page)
    }

    /// The directory that holds this directory; the root holds itself.
    pub fn parent(&self, directory: InodeNumber) -> Result<InodeNumber> {
        Ok(Inode::load_directory(self.items, directory)?.parent())
    }

    /// The next data or hole at or after `offset`, or `None` past the end. A file ends in a hole.
    pub fn seek(&self, inode: InodeNumber, offset: u64, target: SeekTarget) -> Result<Option<u64>> {
        let file = Inode::load_regular(self.items, inode)?;
        if offset >= file.size {
            return Ok(None);
        }
        Ok(match target {
            SeekTarget::Data => self.items.seek(inode, offset, file.size, true)?,
            SeekTarget::Hole => Some(self.items.seek(inode, offset, file.size, false)?.unwrap_or(file.size)),
        })
    }

    /// The names of extended attributes that the caller may know of, sorted.
    pub fn list_xattrs(&self, context: &Context, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
        Inode::load(self.items, inode)?;
        let mut names = xattrs::list(self.items, inode)?;
        names.retain(|name| xattrs::is_visible(&context.caller, name));
        names.sort_unstable();
        Ok(names)
    }

    /// An extended attribute's value; `NotFound` if it is not there.
    pub fn xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Vec<u8>> {
        xattrs::check_name(name)?;
        xattrs::require_reading(&Inode::load(self.items, inode)?, &context.caller, name)?;
        let found = xattrs::find(self.items, self.names, inode, name)?.taken();
        xattrs::value(self.items, inode, found.ok_or(Error::from(ErrorKind::NotFound))?)
    }
}
