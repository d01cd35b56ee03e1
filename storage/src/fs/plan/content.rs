//! Plans changes of a file's bytes.

use crate::error::{ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::layout::DATA_END;
use crate::fs::{Caller, Changed, Context, FILE_SIZE_MAX, Inode, Plan, Reader, Record};

impl Reader<'_> {
    /// Plans a write. The record borrows `bytes`: nothing is copied before they are applied.
    pub fn plan_write<'r>(
        &self,
        context: &Context,
        inode: InodeNumber,
        offset: u64,
        bytes: &'r [u8],
    ) -> Result<Plan<'r, Changed>> {
        let file = self.writable(context, inode)?;
        if bytes.is_empty() {
            return self.nothing(&file);
        }
        match offset.checked_add(bytes.len() as u64) {
            Some(end) if end <= FILE_SIZE_MAX => {}
            _ => return Err(ErrorKind::TooLarge.into()),
        }
        let (modified, changed) = (context.now, context.now);
        let clear_setid = clears_setid(context);
        Ok(Plan::Record(Record::Write { inode, offset, bytes, modified, changed, clear_setid }))
    }

    /// The record that makes `bytes`, which the file has at `offset` already, survive a crash: with the times that
    /// the file has now. No bytes at its end make its size survive.
    pub fn present_write<'r>(&self, inode: InodeNumber, offset: u64, bytes: &'r [u8]) -> Result<Record<'r>> {
        let file = Inode::load_regular(self.items, inode)?;
        let clear_setid = file.mode == file.mode_without_setid();
        Ok(Record::Write { inode, offset, bytes, modified: file.modified, changed: file.changed, clear_setid })
    }

    /// Plans to make a range a hole; the size stays.
    pub fn plan_punch(
        &self,
        context: &Context,
        inode: InodeNumber,
        offset: u64,
        length: u64,
    ) -> Result<Plan<'static, Changed>> {
        let file = self.writable(context, inode)?;
        let end = offset.saturating_add(length);
        if length == 0 || offset >= file.size {
            return self.nothing(&file);
        }
        // Beyond its size a file has nothing: to punch there too gives back the last block.
        let end = if end >= file.size { DATA_END } else { end };
        let clear_setid = clears_setid(context);
        Ok(Plan::Record(Record::Punch { inode, first: offset, end, clear_setid, now: context.now }))
    }

    fn nothing<'r>(&self, file: &Inode) -> Result<Plan<'r, Changed>> {
        let attributes = file.attributes(self.items)?;
        Ok(Plan::Nothing(Changed { before: attributes.clone(), after: attributes }))
    }

    fn writable(&self, context: &Context, inode: InodeNumber) -> Result<Inode> {
        let file = Inode::load_regular(self.items, inode)?;
        file.require_writing(&context.caller)?;
        Ok(file)
    }
}

/// Whether a change of content takes the bits that set user and group, if there are any: unless the superuser makes it.
/// That there are none now does not count. A write that took them may be lost in a crash, and this one then finds them.
fn clears_setid(context: &Context) -> bool {
    context.caller != Caller::Superuser
}
