//! Requests about attributes, permissions and room.

use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Attributes, FileSystemUsage, access};
use fuser::AccessFlags;

use crate::fuse::caller::Asker;
use crate::fuse::failure::Outcome;
use crate::fuse::volume::{Volume, patiently};

/// The bits that set user and group on execution.
const SETID: u32 = 0o6000;

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
        let change = &self.meant(asker, inode, change)?;
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

    /// A change of nothing is a chown(2) that names neither owner: it takes the bits that set user and group all the same.
    /// Of whoever does not own the file it is a write that is about to come, which takes them itself.
    fn meant(&self, asker: Asker, inode: InodeNumber, change: &AttributeChange) -> Outcome<AttributeChange> {
        let mut meant = change.clone();
        if meant == AttributeChange::default() {
            let present = self.attributes(inode)?;
            let owns = asker.uid == 0 || asker.uid == present.uid;
            meant.uid = (owns && present.mode & SETID != 0).then_some(present.uid);
        }
        Ok(meant)
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
