//! A disk in memory that loses power, lies and rots on cue, always the same way.
//!
//! Invariant: nothing is durable before its flush (bytes and length) or the directory's sync
//! (names), and everything is after.

mod content;
mod crash;
mod fingerprint;
mod state;
mod watch;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::media::sim::state::{Change, FileId, NameChange, Power, State, StoredFile, fault, strikes};
use crate::media::sim::watch::{Object, tell};
use crate::media::{Media, MediaFile, MediaSpace, check_name};
use crate::sync::Mutex;

pub use crash::Choices;
pub use watch::{Operation, OperationKind, Watcher};

/// A simulated disk. Counts and fuses count from the present moment.
#[derive(Default)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
}

impl Simulator {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    fn from_state(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets `operations` more changes or flushes go well; the next one and all later fail. The one at
    /// which the power goes may still reach the disk, in part, as [`Simulator::crash`] chooses.
    #[must_use]
    pub fn with_fuse(self, operations: u64) -> Self {
        self.set_fuse(Some(operations));
        self
    }

    /// The same, for a disk in use; `None` brings the power back.
    pub fn set_fuse(&self, operations: Option<u64>) {
        self.state.lock().faults.power = operations.map(|count| count.saturating_add(1));
    }

    /// Changes and flushes asked for so far, failed ones included.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// A disk in the same state, pending changes included, without faults: what another process
    /// sees after this one was killed. Cheap: the two share their pages until one changes.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut state = self.state.lock().clone();
        state.forget_faults();
        Self::from_state(state)
    }

    /// The disk after a loss of power: what is durable, and what `choose` lets survive of the rest:
    /// any of the pending writes in any order, torn between sectors of 512 bytes, and any of the
    /// changes of names, in order. `choose` returns a number below its argument.
    #[must_use]
    pub fn crash(&self, choose: &mut dyn FnMut(u64) -> u64) -> Self {
        let mut state = self.state.lock().clone();
        crash::crash(&mut state, choose);
        Self::from_state(state)
    }

    /// The disk after a loss of power that cut every pending write at a byte: `cut` maps its length to
    /// how much of it survives. All other pending changes survive.
    #[must_use]
    pub fn tear(&self, mut cut: impl FnMut(usize) -> usize) -> Self {
        let mut state = self.state.lock().clone();
        crash::tear(&mut state, &mut cut);
        Self::from_state(state)
    }

    /// Makes the read after `successes` more fail, once.
    pub fn fail_read(&self, successes: u64) {
        self.state.lock().faults.read = Some(successes);
    }

    /// Makes the write after `successes` more fail, once; none of it is stored.
    pub fn fail_write(&self, successes: u64) {
        self.state.lock().faults.write = Some(successes);
    }

    /// Makes the write after `successes` more fail, once, when `length` of its bytes are stored: reads show these, and they are as
    /// pending as any.
    pub fn shorten_write(&self, successes: u64, length: u64) {
        let faults = &mut self.state.lock().faults;
        (faults.short_write, faults.short_write_len) = (Some(successes), length);
    }

    /// Tells `watcher` of each operation on the thread that asks for it: of a change when it is pending, of a read, a flush or a
    /// sync of the directory before it is done. So a crash or a copy at that moment finds what a fuse at this operation leaves.
    /// A watcher that waits, or counts what a real disk would take, is the disk's latency.
    pub fn watch(&self, watcher: Option<Watcher>) {
        self.state.lock().faults.watcher = watcher;
    }

    /// Makes the flush after `successes` more fail, once, and lose what it should have made durable:
    /// reads still show it and later flushes go well, but no crash leaves it there.
    pub fn fail_flush(&self, successes: u64) {
        self.state.lock().faults.flush = Some(successes);
    }

    /// Sets how many bytes all files together may have allocated; `None` for any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Flips the bits of `mask` in one stored byte, on the disk and in what is read from it.
    pub fn corrupt(&self, name: &str, offset: u64, mask: u8) -> Result<()> {
        let mut state = self.state.lock();
        let id = state.lookup(name)?;
        let file = state.file(id);
        file.durable.flip(offset, mask);
        file.live.flip(offset, mask);
        Ok(())
    }

    /// Remembers a file as it is now, for [`Simulator::revert`].
    pub fn remember(&self, name: &str) -> Result<()> {
        let mut state = self.state.lock();
        let id = state.lookup(name)?;
        let file = state.file(id);
        file.remembered = Some(file.live.clone());
        Ok(())
    }

    /// Brings back the remembered version of a range, as a disk does that dropped the writes since.
    pub fn revert(&self, name: &str, offset: u64, length: u64) -> Result<()> {
        let mut state = self.state.lock();
        let id = state.lookup(name)?;
        let file = state.file(id);
        let old = file.remembered.clone().unwrap_or_default();
        let end = file.live.length().min(old.length()).min(offset.saturating_add(length));
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        old.read(&mut bytes, offset);
        file.durable.write(&bytes, offset);
        file.live.write(&bytes, offset);
        Ok(())
    }

    fn handle(&self, state: &mut State, id: FileId) -> Arc<dyn MediaFile> {
        let open = Arc::clone(&state.file(id).open);
        Arc::new(SimulatedFile { state: Arc::clone(&self.state), id, _open: open })
    }
}

fn finish(power: Power) -> Result<()> {
    if power == Power::Failing { Err(fault("the power is gone")) } else { Ok(()) }
}

impl Media for Simulator {
    fn list(&self) -> Result<Vec<String>> {
        Ok(self.state.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, length: u64) -> Result<Arc<dyn MediaFile>> {
        check_name(name)?;
        if length >= i64::MAX as u64 {
            return Err(fault("a length is more than a file can have"));
        }
        let mut state = self.state.lock();
        let power = state.step()?;
        if state.names.contains_key(name) {
            return Err(Error::new(ErrorKind::Exists, format!("the simulated file {name} is there already")));
        }
        state.allocate(length)?;
        let id = FileId(state.next_file);
        state.next_file += 1;
        state.files.insert(id, StoredFile::default());
        state.file(id).change(Change::Length(length));
        state.change_names(NameChange::Create { name: name.to_owned(), file: id });
        let handle = self.handle(&mut state, id);
        drop(state);
        tell(&self.state, OperationKind::Create, Object::Name(name), (0, length));
        finish(power).map(|()| handle)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn MediaFile>> {
        check_name(name)?;
        let mut state = self.state.lock();
        let id = state.lookup(name)?;
        Ok(self.handle(&mut state, id))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_name(to)?;
        let mut state = self.state.lock();
        let power = state.step()?;
        let file = state.lookup(from)?;
        if from != to {
            state.change_names(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), file });
        }
        drop(state);
        tell(&self.state, OperationKind::Rename, Object::Name(from), (0, 0));
        finish(power)
    }

    fn unlink(&self, name: &str) -> Result<()> {
        let mut state = self.state.lock();
        let power = state.step()?;
        let file = state.lookup(name)?;
        state.change_names(NameChange::Unlink { name: name.to_owned(), file });
        drop(state);
        tell(&self.state, OperationKind::Unlink, Object::Name(name), (0, 0));
        finish(power)
    }

    fn sync_directory(&self) -> Result<()> {
        let power = self.state.lock().step()?;
        tell(&self.state, OperationKind::SyncDirectory, Object::Directory, (0, 0));
        finish(power)?;
        let mut state = self.state.lock();
        state.durable_names = state.names.clone();
        state.pending_names.clear();
        state.collect();
        Ok(())
    }

    fn space(&self) -> Result<MediaSpace> {
        let state = self.state.lock();
        let total = state.capacity.unwrap_or(1 << 50);
        Ok(MediaSpace { total, free: total.saturating_sub(state.used()) })
    }
}

struct SimulatedFile {
    state: Arc<Mutex<State>>,
    id: FileId,
    _open: Arc<()>,
}

impl SimulatedFile {
    /// Makes a change pending, if the power and the room allow it.
    fn change(&self, change: Change, growth: impl FnOnce(&StoredFile) -> u64) -> Result<()> {
        let mut state = self.state.lock();
        let power = state.step()?;
        if matches!(change, Change::Write { .. }) && strikes(&mut state.faults.write) {
            return Err(fault("the simulated disk refuses a write"));
        }
        let growth = growth(state.file(self.id));
        state.allocate(growth)?;
        if matches!(change, Change::Write { .. }) && strikes(&mut state.faults.short_write) {
            let length = state.faults.short_write_len;
            state.file(self.id).change(change.cut(length));
            return Err(fault("the simulated disk stores only a part of a write"));
        }
        let (kind, at) = (change.kind(), change.place());
        state.file(self.id).change(change);
        drop(state);
        tell(&self.state, kind, Object::File(self.id), at);
        finish(power)
    }
}

impl MediaFile for SimulatedFile {
    fn length(&self) -> Result<u64> {
        Ok(self.state.lock().file(self.id).live.length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        tell(&self.state, OperationKind::Read, Object::File(self.id), (offset, buffer.len() as u64));
        let mut state = self.state.lock();
        if strikes(&mut state.faults.read) {
            return Err(fault("the simulated disk cannot read"));
        }
        let live = &state.file(self.id).live;
        match offset.checked_add(buffer.len() as u64) {
            Some(end) if end <= live.length() => live.read(buffer, offset),
            _ => return Err(fault("a read goes past the end of the simulated file")),
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end < i64::MAX as u64);
        let end = end.ok_or_else(|| fault("a write goes past what a file can have"))?;
        if bytes.is_empty() {
            return Ok(());
        }
        let change = Change::Write { offset, bytes: bytes.into() };
        self.change(change, |file| file.live.growth(&(offset..end)))
    }

    fn flush(&self) -> Result<()> {
        let power = self.state.lock().step()?;
        tell(&self.state, OperationKind::Flush, Object::File(self.id), (0, 0));
        finish(power)?;
        let mut state = self.state.lock();
        if strikes(&mut state.faults.flush) {
            let file = state.file(self.id);
            file.pending.clear();
            file.lied = true;
            return Err(fault("the simulated disk fails a flush"));
        }
        state.file(self.id).flush();
        Ok(())
    }

    fn punch(&self, offset: u64, length: u64) -> Result<()> {
        let end = offset.checked_add(length).ok_or_else(|| fault("a punch goes past what a file can have"))?;
        self.change(Change::Punch(offset..end), |_| 0)
    }

    fn truncate(&self, length: u64) -> Result<()> {
        if length >= i64::MAX as u64 {
            return Err(fault("a length is more than a file can have"));
        }
        self.change(Change::Length(length), |file| file.live.growth(&(file.live.length()..length)))
    }
}

#[cfg(test)]
mod tests;
