//! File content: pages of one block each, and the calls that read and change it.
//!
//! Invariant: a page that is there holds a byte that is not zero; bytes past the file's size are zero.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cow_storage::error::{ErrorKind, Result};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{Changed, Context, FILE_SIZE_MAX, ReadOutcome, SeekTarget, access};

use crate::model::state::{Body, State};

/// A file's blocks by number; what is missing is zero. Copies share blocks until one changes.
#[derive(Clone, Default)]
pub(super) struct Pages(BTreeMap<u64, Arc<Vec<u8>>>);

impl Pages {
    fn read(&self, page_len: u64, offset: u64, buffer: &mut [u8]) {
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        for (&number, page) in self.0.range(offset / page_len..end.div_ceil(page_len)) {
            let start = number * page_len;
            let (from, to) = (start.max(offset), (start + page_len).min(end));
            buffer[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&page[(from - start) as usize..(to - start) as usize]);
        }
    }

    pub(super) fn write(&mut self, page_len: u64, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        for number in offset / page_len..end.div_ceil(page_len) {
            let start = number * page_len;
            let (from, to) = (start.max(offset), (start + page_len).min(end));
            let page = Arc::make_mut(self.0.entry(number).or_insert_with(|| Arc::new(vec![0; page_len as usize])));
            page[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            if page.iter().all(|&byte| byte == 0) {
                self.0.remove(&number);
            }
        }
    }

    /// Makes `from..to` zero.
    pub(super) fn clear(&mut self, page_len: u64, from: u64, to: u64) {
        let touched: Vec<u64> =
            self.0.range(from / page_len..to.div_ceil(page_len)).map(|(&number, _)| number).collect();
        for number in touched {
            let start = number * page_len;
            let (from, to) = (start.max(from), (start + page_len).min(to));
            self.write(page_len, from, &vec![0; (to - from) as usize]);
        }
    }

    pub(super) fn allocated(&self, page_len: u64) -> u64 {
        self.0.len() as u64 * page_len
    }
}

impl State {
    pub(super) fn read(
        &self,
        context: &Context,
        inode: InodeNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<ReadOutcome> {
        let pages = self.file(inode)?;
        // Who may execute a file may have its pages read.
        if !self.owns(context, inode)? && self.demand(context, inode, access::EXECUTE).is_err() {
            self.demand(context, inode, access::READ)?;
        }
        let size = self.inode(inode)?.attributes.size;
        let length = size.saturating_sub(offset).min(buffer.len() as u64);
        if length > 0 {
            pages.read(u64::from(self.block_size), offset, &mut buffer[..length as usize]);
        }
        Ok(ReadOutcome { length: length as usize, end_of_file: offset.saturating_add(length) >= size })
    }

    pub(super) fn write(&mut self, context: &Context, inode: InodeNumber, offset: u64, data: &[u8]) -> Result<Changed> {
        self.file(inode)?;
        self.demand_or_own(context, inode, access::WRITE)?;
        let before = self.attributes(inode)?;
        if data.is_empty() {
            return Ok(Changed { after: before.clone(), before });
        }
        let end = offset.checked_add(data.len() as u64).filter(|&end| end <= FILE_SIZE_MAX);
        let end = end.ok_or(ErrorKind::TooLarge)?;
        let size = before.size.max(end);
        self.change_content(context, inode, size, offset..end, |pages, page_len| pages.write(page_len, offset, data))?;
        Ok(Changed { before, after: self.attributes(inode)? })
    }

    pub(super) fn punch(&mut self, context: &Context, inode: InodeNumber, offset: u64, length: u64) -> Result<Changed> {
        self.file(inode)?;
        self.demand_or_own(context, inode, access::WRITE)?;
        let before = self.attributes(inode)?;
        let end = offset.saturating_add(length).min(before.size);
        if offset >= end {
            return Ok(Changed { after: before.clone(), before });
        }
        self.change_content(context, inode, before.size, offset..end, |pages, page_len| {
            pages.clear(page_len, offset, end)
        })?;
        Ok(Changed { before, after: self.attributes(inode)? })
    }

    /// Sets the size of what is known to be a file.
    pub(super) fn set_size(&mut self, context: &Context, inode: InodeNumber, size: u64) {
        let page_len = u64::from(self.block_size);
        let found = self.inode_mut(inode);
        let Body::File(pages) = &mut found.body else { unreachable!("the call found a file before") };
        pages.clear(page_len, size, found.attributes.size.max(size));
        (found.attributes.allocated, found.attributes.size) = (pages.allocated(page_len), size);
        found.attributes.modified = context.now;
    }

    /// Changes the bytes of `range` by `edit` and sets the size, or nothing if the quota is against it.
    fn change_content(
        &mut self,
        context: &Context,
        inode: InodeNumber,
        size: u64,
        range: Range<u64>,
        edit: impl FnOnce(&mut Pages, u64),
    ) -> Result<()> {
        let page_len = u64::from(self.block_size);
        let room = self.quota.map(|quota| quota.saturating_sub(self.allocated()));
        let found = self.inode_mut(inode);
        let Body::File(pages) = &mut found.body else { unreachable!("the call found a file before") };
        let blocks = range.start / page_len..range.end.div_ceil(page_len);
        let saved: Vec<_> = pages.0.range(blocks.clone()).map(|(&number, page)| (number, page.clone())).collect();
        edit(pages, page_len);
        let allocated = pages.allocated(page_len);
        if room.is_some_and(|room| allocated.saturating_sub(found.attributes.allocated) > room) {
            pages.0.retain(|number, _| !blocks.contains(number));
            pages.0.extend(saved);
            return Err(ErrorKind::Quota.into());
        }
        found.attributes.size = size;
        found.attributes.allocated = allocated;
        found.drop_privileges(&context.caller);
        found.touch_content(context.now);
        Ok(())
    }

    pub(super) fn seek(&self, inode: InodeNumber, offset: u64, target: SeekTarget) -> Result<Option<u64>> {
        let pages = self.file(inode)?;
        let size = self.inode(inode)?.attributes.size;
        if offset >= size {
            return Ok(None);
        }
        let page_len = u64::from(self.block_size);
        let first = offset / page_len;
        Ok(match target {
            SeekTarget::Data => pages.0.range(first..).next().map(|(&number, _)| (number * page_len).max(offset)),
            SeekTarget::Hole => {
                let hole = (first..).find(|number| !pages.0.contains_key(number)).expect("a file ends");
                Some((hole * page_len).max(offset).min(size))
            }
        })
    }
}
