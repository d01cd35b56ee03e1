//! Requests about attributes, permissions and room.

use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Attributes, FileSystemUsage, access};
use fuser::AccessFlags;

use crate::fuse::caller::Asker;
use crate::fuse::failure::Outcome;
use crate::fuse::volume::{Volume, patiently};

impl Volume {
    /// An inode's attributes.
    pub fn attributes(&self, inode: InodeNumber) -> Outcome<Attributes> {
        Ok(self.files().attributes(inode)?)
    }

    /// Sets attributes. Who has the file open for writing may cut it whatever its mode is now.
    pub fn set(
        &self,
        asker: Asker,
        inode: InodeNumber,
        change: &AttributeChange,
        is_open: bool,
    ) -> Outcome<Attributes> {
        self.check_writable()?;
        let only_size = *change == AttributeChange { size: change.size, ..AttributeChange::default() };
        let context = match is_open && only_size {
            true if asker.uid == 0 => self.as_opener(),
            true => self.as_owner(inode)?,
            false => self.identified(asker)?.1,
        };
        let changed = patiently(|| self.files().set_attributes(&context, inode, change, None))?;
        self.nodes.note_own(&changed);
        Ok(changed.after)
    }

    /// Answers access(2).
    pub fn access(&self, asker: Asker, inode: InodeNumber, mask: AccessFlags) -> Outcome<()> {
        let bits = [
            (AccessFlags::R_OK, access::READ),
            (AccessFlags::W_OK, access::WRITE),
            (AccessFlags::X_OK, access::EXECUTE),
        ];
        if mask.contains(AccessFlags::W_OK) {
            self.check_writable()?;
        }
        let wanted = bits.iter().filter(|(flag, _)| mask.contains(*flag)).fold(0, |all, (_, bit)| all | bit);
        self.check(asker, &self.attributes(inode)?, wanted)
    }

    /// Room and inodes.
    pub fn usage(&self) -> Outcome<FileSystemUsage> {
        Ok(self.files().usage()?)
    }
}
