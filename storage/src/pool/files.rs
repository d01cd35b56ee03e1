//! A head or snapshot as a file system.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::{
    AttributeChange, Attributes, Changed, Context, Created, DirectoryPage, FileSystem, FileSystemUsage, Linked,
    NewObject, Plan, ReadOutcome, Reader, Renamed, SeekTarget, Stability, XattrMode,
};
use crate::pool::ahead::Piece;
use crate::pool::change::{Done, Promise};
use crate::pool::core::Core;
use crate::pool::head::Head;
use crate::sync::Ordering;

/// A handle on a head or snapshot. Handles on the same one share all state.
pub struct Files {
    core: Arc<Core>,
    head: Arc<Head>,
}

impl Files {
    /// A handle.
    pub fn new(core: Arc<Core>, head: Arc<Head>) -> Self {
        Self { core, head }
    }

    fn read_with<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T>) -> Result<T> {
        let (_pin, present) = self.core.view(&self.head)?;
        read(&Reader::new(&present.layers, &self.core.names))
    }

    /// Has that fetched which whoever reads this range is likely to want, and sees to it that nobody else is still at what it wants
    /// itself.
    fn read_ahead(&self, inode: InodeNumber, range: Range<u64>) {
        let new = |range| Piece::new(Arc::downgrade(&self.head), inode, range);
        let steps = self.core.ahead.note((self.head.holder, inode), range, self.core.store.fetched(), new);
        for piece in steps.begin {
            let core = Arc::downgrade(&self.core);
            self.core.errands.offer(self.core.store.executor(), move || {
                if let Some(core) = core.upgrade() {
                    piece.begin(|piece| core.fetch_ahead(piece));
                }
            });
        }
        for piece in &steps.needed {
            piece.begin(|piece| self.core.fetch_ahead(piece));
        }
        for piece in &steps.needed {
            piece.finish(|piece| self.core.fetch_ahead(piece));
        }
    }

    /// A change of names or attributes.
    fn change<'r, T>(
        &self,
        context: &Context,
        plan: impl Fn(&Reader<'_>, InodeNumber) -> Result<Plan<'r, T>>,
    ) -> Result<Done<T>> {
        self.core.make_room_for(&self.head, 0, context.now)?;
        let promise = if context.durable { Promise::Durable(context.call) } else { Promise::Logged(context.call) };
        self.core.change(&self.head, promise, context.now, plan)
    }

    /// Room for something new, so that a full pool can still remove.
    fn make_room_for_new(&self, context: &Context) -> Result<()> {
        self.core.make_room_for(&self.head, u64::from(self.head.block_len), context.now)
    }

    fn is_retained(&self) -> impl Fn(InodeNumber) -> bool + '_ {
        |inode| self.head.is_retained(inode)
    }
}

fn changed(done: Done<Changed>) -> Changed {
    match done {
        Done::Nothing(answer) => answer,
        Done::Applied(outcome) => outcome.changed(),
    }
}

impl FileSystem for Files {
    fn block_size(&self) -> u32 {
        self.head.block_len
    }

    fn attributes(&self, inode: InodeNumber) -> Result<Attributes> {
        let attributes = self.read_with(|reader| reader.attributes(inode))?;
        // An orphan that nobody has open is as good as gone: it waits to be reaped.
        match attributes.links == 0 && !self.head.is_retained(inode) {
            true => Err(ErrorKind::Stale.into()),
            false => Ok(attributes),
        }
    }

    fn set_attributes(
        &self,
        context: &Context,
        inode: InodeNumber,
        change: &AttributeChange,
        guard: Option<Timestamp>,
    ) -> Result<Changed> {
        self.change(context, |reader, _| reader.plan_set_attributes(context, inode, change, guard)).map(changed)
    }

    fn lookup(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Attributes> {
        self.read_with(|reader| reader.lookup(context, directory, name))
    }

    fn read_link(&self, _context: &Context, inode: InodeNumber) -> Result<Vec<u8>> {
        self.read_with(|reader| reader.read_link(inode))
    }

    fn read(&self, context: &Context, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<ReadOutcome> {
        self.read_ahead(inode, offset..offset.saturating_add(buffer.len() as u64));
        let outcome = self.read_with(|reader| reader.read(context, inode, offset, buffer))?;
        self.core.tally.read_bytes.fetch_add(outcome.length as u64, Ordering::Relaxed);
        Ok(outcome)
    }

    fn write(
        &self,
        context: &Context,
        inode: InodeNumber,
        offset: u64,
        data: &[u8],
        stability: Stability,
    ) -> Result<Changed> {
        self.core.make_room_for(&self.head, data.len() as u64, context.now)?;
        let stable = stability != Stability::Unstable;
        let inline = stable && data.len() as u64 <= self.core.inline_len_max();
        let promise = if inline { Promise::Durable(None) } else { Promise::Nothing };
        let plan = |reader: &Reader<'_>, _| reader.plan_write(context, inode, offset, data);
        let done = self.core.change(&self.head, promise, context.now, plan)?;
        self.core.tally.written_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        if stable && !inline {
            self.core.sync(&self.head, inode, context.now)?;
        }
        Ok(changed(done))
    }

    fn sync(&self, inode: InodeNumber) -> Result<()> {
        self.attributes(inode)?;
        // A commit that this makes keeps the last one's time.
        self.core.sync(&self.head, inode, Timestamp::default())
    }

    fn settle(&self) -> Result<()> {
        let last = self.head.operate_always().last_logged;
        last.map_or(Ok(()), |ticket| self.core.log.wait(ticket).inspect_err(|_| self.core.poison()))
    }

    fn create(
        &self,
        context: &Context,
        directory: InodeNumber,
        name: &[u8],
        object: &NewObject,
        mode: u32,
        initial: &AttributeChange,
    ) -> Result<Created> {
        self.make_room_for_new(context)?;
        let plan =
            |reader: &Reader<'_>, next| reader.plan_create(context, directory, name, object, mode, initial, next);
        Ok(match self.change(context, plan)? {
            Done::Nothing(answer) => answer,
            Done::Applied(outcome) => outcome.created(),
        })
    }

    fn link(&self, context: &Context, inode: InodeNumber, directory: InodeNumber, name: &[u8]) -> Result<Linked> {
        self.make_room_for_new(context)?;
        Ok(match self.change(context, |reader, _| reader.plan_link(context, inode, directory, name))? {
            Done::Nothing(answer) => answer,
            Done::Applied(outcome) => outcome.linked(),
        })
    }

    fn remove(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed> {
        self.change(context, |reader, _| reader.plan_remove(context, directory, name, self.is_retained())).map(changed)
    }

    fn remove_directory(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed> {
        let plan = |reader: &Reader<'_>, _| reader.plan_remove_directory(context, directory, name, self.is_retained());
        self.change(context, plan).map(changed)
    }

    fn rename(
        &self,
        context: &Context,
        from_directory: InodeNumber,
        from: &[u8],
        to_directory: InodeNumber,
        to: &[u8],
    ) -> Result<Renamed> {
        // The bytes that a rename puts in another file's place are durable with it: programs that write a new
        // file and rename it over the old one rely on that.
        self.sync_before_rename(context, from_directory, from, to_directory, to)?;
        let plan = |reader: &Reader<'_>, _| {
            reader.plan_rename(context, from_directory, from, to_directory, to, self.is_retained())
        };
        Ok(match self.change(context, plan)? {
            Done::Nothing(answer) => answer,
            Done::Applied(outcome) => outcome.renamed(),
        })
    }

    fn read_directory(
        &self,
        context: &Context,
        directory: InodeNumber,
        after: u64,
        limit: usize,
    ) -> Result<DirectoryPage> {
        self.read_with(|reader| reader.read_directory(context, directory, after, limit))
    }

    fn parent(&self, directory: InodeNumber) -> Result<InodeNumber> {
        self.read_with(|reader| reader.parent(directory))
    }

    fn punch(&self, context: &Context, inode: InodeNumber, offset: u64, length: u64) -> Result<Changed> {
        self.change(context, |reader, _| reader.plan_punch(context, inode, offset, length)).map(changed)
    }

    fn seek(&self, inode: InodeNumber, offset: u64, target: SeekTarget) -> Result<Option<u64>> {
        self.read_with(|reader| reader.seek(inode, offset, target))
    }

    fn list_xattrs(&self, context: &Context, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
        self.read_with(|reader| reader.list_xattrs(context, inode))
    }

    fn xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Vec<u8>> {
        self.read_with(|reader| reader.xattr(context, inode, name))
    }

    fn set_xattr(
        &self,
        context: &Context,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()> {
        self.make_room_for_new(context)?;
        let plan =
            |reader: &Reader<'_>, _| reader.plan_set_xattr(context, inode, name, value, mode).map(Plan::<()>::Record);
        self.change(context, plan).map(drop)
    }

    fn remove_xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()> {
        let plan = |reader: &Reader<'_>, _| reader.plan_remove_xattr(context, inode, name).map(Plan::<()>::Record);
        self.change(context, plan).map(drop)
    }

    fn retain(&self, inode: InodeNumber) -> Result<()> {
        // No orphan is reaped meanwhile; one that nobody has open may be erased in part, and does not come back.
        let _operations = self.head.operate_always();
        self.attributes(inode)?;
        self.head.retain(inode);
        Ok(())
    }

    fn release(&self, inode: InodeNumber) {
        self.head.release(inode);
    }

    fn usage(&self) -> Result<FileSystemUsage> {
        let (_pin, present) = self.core.view(&self.head)?;
        let (used, free) = (present.allocated_bytes(), self.core.free()?);
        let free = match self.head.properties().quota {
            Some(quota) => free.min(quota.saturating_sub(used)),
            None => free,
        };
        Ok(FileSystemUsage { total: used + free, free, inodes: present.committed_inodes })
    }

    fn write_verifier(&self) -> u64 {
        self.core.boot
    }
}

impl Files {
    fn sync_before_rename(
        &self,
        context: &Context,
        from_directory: InodeNumber,
        from: &[u8],
        to_directory: InodeNumber,
        to: &[u8],
    ) -> Result<()> {
        if !context.durable || self.lookup(context, to_directory, to).is_err() {
            return Ok(());
        }
        match self.lookup(context, from_directory, from) {
            Ok(file) => self.core.sync(&self.head, file.inode, context.now),
            // The rename itself says what is wrong.
            Err(_) => Ok(()),
        }
    }
}

impl Core {
    /// Reads a piece into the cache. Returns whether anything was missing there. Errors are left to whoever wants the bytes.
    fn fetch_ahead(&self, piece: &Piece) -> bool {
        let fetch = |head: Arc<Head>| -> Result<bool> {
            let (_pin, present) = self.view(&head)?;
            present.layers.fetch_ahead(piece.inode, piece.range.clone())
        };
        piece.head.upgrade().is_some_and(|head| fetch(head).unwrap_or(false))
    }

    /// Bytes that the host has beyond the reserve and what is dirty.
    pub fn free(&self) -> Result<u64> {
        let taken = self.dirty() + self.margin();
        self.media
            .space()
            .map(|space| space.free.saturating_sub(taken))
            .map_err(|error: Error| error.during("ask for space"))
    }
}
