//! A file system in memory, plain enough to be obviously right: the oracle of the engine's tests,
//! and what the servers' tests serve.
//!
//! Invariant: every call holds the one lock from its first check to its last change, so calls are
//! atomic and happen in some order; a call that fails changes nothing.

mod attributes;
mod bytes;
mod create;
mod names;
mod restart;
mod state;
mod xattrs;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{
    AttributeChange, Attributes, Changed, Context, Created, DirectoryPage, FileSystem, FileSystemUsage, Linked,
    NewObject, ReadOutcome, Renamed, SeekTarget, Stability, XattrMode,
};

use crate::model::state::State;

pub use restart::Saved;

/// Called with each call's name before it runs; its error becomes the call's.
pub type Hook = Arc<dyn Fn(&'static str) -> Result<()> + Send + Sync>;

/// A file system in memory.
pub struct Model {
    state: Mutex<State>,
    hook: Mutex<Option<Hook>>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(16 << 10, None, Timestamp::default())
    }
}

impl Model {
    /// An empty file system with a root directory of mode 0755 that belongs to the superuser.
    pub fn new(block_size: u32, quota: Option<u64>, now: Timestamp) -> Self {
        Self::of(State::new(block_size, quota, now))
    }

    fn of(state: State) -> Self {
        Self { state: Mutex::new(state), hook: Mutex::default() }
    }

    /// A deep copy, which goes its own way: what a clone has to be.
    pub fn fork(&self) -> Self {
        Self::of(State { read_only: false, ..self.state().clone() })
    }

    /// A deep copy that takes no changes: what a snapshot has to be.
    pub fn snapshot(&self) -> Self {
        Self::of(State { read_only: true, ..self.state().clone() })
    }

    /// Makes every later call ask `hook` first: to fail, to wait, or to panic.
    pub fn before_each(&self, hook: Option<Hook>) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// Sets the write verifier, as a restart would.
    pub fn set_write_verifier(&self, verifier: u64) {
        self.state().write_verifier = verifier;
    }

    /// Inodes that exist, with names or only retained.
    pub fn inodes(&self) -> Vec<InodeNumber> {
        self.state().inodes.keys().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic comes from a hook, before a call touched anything.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self, call: &'static str) -> Result<MutexGuard<'_, State>> {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hook.map_or(Ok(()), |hook| hook(call))?;
        Ok(self.state())
    }

    fn changing(&self, call: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.reading(call)?;
        if state.read_only { Err(Error::from(ErrorKind::ReadOnly)) } else { Ok(state) }
    }
}

impl FileSystem for Model {
    fn block_size(&self) -> u32 {
        self.state().block_size
    }

    fn attributes(&self, inode: InodeNumber) -> Result<Attributes> {
        self.reading("attributes")?.attributes(inode)
    }

    fn set_attributes(
        &self,
        context: &Context,
        inode: InodeNumber,
        change: &AttributeChange,
        guard: Option<Timestamp>,
    ) -> Result<Changed> {
        self.changing("set_attributes")?.set_attributes(context, inode, change, guard)
    }

    fn lookup(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Attributes> {
        self.reading("lookup")?.lookup(context, directory, name)
    }

    fn read_link(&self, _context: &Context, inode: InodeNumber) -> Result<Vec<u8>> {
        self.reading("read_link")?.read_link(inode)
    }

    fn read(&self, context: &Context, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> Result<ReadOutcome> {
        self.reading("read")?.read(context, inode, offset, buffer)
    }

    fn write(
        &self,
        context: &Context,
        inode: InodeNumber,
        offset: u64,
        data: &[u8],
        _stability: Stability,
    ) -> Result<Changed> {
        self.changing("write")?.write(context, inode, offset, data)
    }

    fn sync(&self, inode: InodeNumber) -> Result<()> {
        self.reading("sync")?.attributes(inode).map(drop)
    }

    fn settle(&self) -> Result<()> {
        Ok(())
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
        self.changing("create")?.create(context, directory, name, object, mode, initial)
    }

    fn link(&self, context: &Context, inode: InodeNumber, directory: InodeNumber, name: &[u8]) -> Result<Linked> {
        self.changing("link")?.link(context, inode, directory, name)
    }

    fn remove(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed> {
        self.changing("remove")?.remove(context, directory, name, false)
    }

    fn remove_directory(&self, context: &Context, directory: InodeNumber, name: &[u8]) -> Result<Changed> {
        self.changing("remove_directory")?.remove(context, directory, name, true)
    }

    fn rename(
        &self,
        context: &Context,
        from_directory: InodeNumber,
        from: &[u8],
        to_directory: InodeNumber,
        to: &[u8],
    ) -> Result<Renamed> {
        self.changing("rename")?.rename(context, (from_directory, from), (to_directory, to))
    }

    fn read_directory(
        &self,
        context: &Context,
        directory: InodeNumber,
        after: u64,
        limit: usize,
    ) -> Result<DirectoryPage> {
        self.reading("read_directory")?.read_directory(context, directory, after, limit)
    }

    fn parent(&self, directory: InodeNumber) -> Result<InodeNumber> {
        self.reading("parent")?.parent(directory)
    }

    fn punch(&self, context: &Context, inode: InodeNumber, offset: u64, length: u64) -> Result<Changed> {
        self.changing("punch")?.punch(context, inode, offset, length)
    }

    fn seek(&self, inode: InodeNumber, offset: u64, target: SeekTarget) -> Result<Option<u64>> {
        self.reading("seek")?.seek(inode, offset, target)
    }

    fn list_xattrs(&self, context: &Context, inode: InodeNumber) -> Result<Vec<Vec<u8>>> {
        self.reading("list_xattrs")?.list_xattrs(context, inode)
    }

    fn xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<Vec<u8>> {
        self.reading("xattr")?.xattr(context, inode, name)
    }

    fn set_xattr(
        &self,
        context: &Context,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()> {
        self.changing("set_xattr")?.set_xattr(context, inode, name, value, mode)
    }

    fn remove_xattr(&self, context: &Context, inode: InodeNumber, name: &[u8]) -> Result<()> {
        self.changing("remove_xattr")?.remove_xattr(context, inode, name)
    }

    fn retain(&self, inode: InodeNumber) -> Result<()> {
        self.reading("retain")?.retain(inode)
    }

    fn release(&self, inode: InodeNumber) {
        self.state().release(inode);
    }

    fn usage(&self) -> Result<FileSystemUsage> {
        Ok(self.reading("usage")?.usage())
    }

    fn write_verifier(&self) -> u64 {
        self.state().write_verifier
    }
}
