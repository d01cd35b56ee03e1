//! Calls and a verb in the middle of a commit, as other threads make them, and what the disk is then.
//!
//! Invariant: a cue is taken when the commit uses the executor or flushes a file, at which it holds no lock that a
//! small call needs; and a verb is only done where it need not wait. So everything happens on one thread, and the same way
//! each time.

use std::sync::{Arc, Mutex, PoisonError};

use cow_storage::error::{Error, Result};
use cow_storage::executor::Executor;
use cow_storage::format::{DatasetId, Timestamp};
use cow_storage::fs::{Context, FileSystem};
use cow_storage::intent::INTENT_NAME;
use cow_storage::media::{Media, MediaFile, MediaSpace, Simulator};
use cow_storage::pool::Pool;

use crate::history::{Answer, Call, Verb, VerbAnswer};

/// A call to be made, and through which handle.
pub(super) struct Planned {
    pub id: DatasetId,
    pub files: Arc<dyn FileSystem>,
    pub call: Call,
    pub who: Context,
}

/// What is to happen in the middle of a commit.
pub(super) struct Interlude {
    pub pool: Pool,
    pub disk: Arc<Simulator>,
    /// Cues that pass first.
    pub wait: u64,
    pub calls: Vec<Planned>,
    /// The answers to the calls that were made; there may be less than calls.
    pub answers: Vec<Result<Answer, Error>>,
    /// A verb that is to pass the commit, and the heads that it is about.
    pub verb: Option<(Verb, Vec<DatasetId>)>,
    pub now: Timestamp,
    /// Its answer, if it was done, and whether it took a commit.
    pub verb_answer: Option<(Result<VerbAnswer, Error>, bool)>,
    /// The disk after the calls.
    pub then: Option<Simulator>,
}

impl Interlude {
    /// Makes the calls and does the verb, but nothing that might wait for the commit.
    fn act(&mut self) {
        for Planned { files, call, who, .. } in &self.calls {
            if self.pool.commit_due() {
                break;
            }
            self.answers.push(call.answer(&**files, who));
        }
        if let Some((verb, heads)) = &self.verb
            && !self.pool.is_busy_with(heads)
        {
            let before = self.pool.counters().commits;
            let answer = verb.run(&self.pool, self.now);
            self.verb_answer = Some((answer, self.pool.counters().commits > before));
        }
        self.then = Some(self.disk.duplicate());
    }
}

/// Where an interlude waits for its cue.
#[derive(Clone, Default)]
pub(super) struct Cue(Arc<Mutex<Option<Interlude>>>);

impl Cue {
    pub fn set(&self, interlude: Interlude) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(interlude);
    }

    pub fn take(&self) -> Option<Interlude> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn give(&self) {
        // Taken out meanwhile: what the calls themselves do is no cue.
        let Some(mut interlude) = self.take() else { return };
        match (interlude.wait, &interlude.then) {
            (0, None) => interlude.act(),
            _ => interlude.wait = interlude.wait.saturating_sub(1),
        }
        self.set(interlude);
    }
}

/// Runs jobs inline, after a cue.
pub(super) struct CueingExecutor(pub Cue);

impl Executor for CueingExecutor {
    fn run(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        self.0.give();
        (0..count).for_each(job);
    }

    fn offer(&self, errand: Box<dyn FnOnce() + Send>) {
        errand();
    }
}

/// A disk whose flushes are cues, but for the log's: those are of calls.
pub(super) struct CueingMedia {
    pub disk: Arc<Simulator>,
    pub cue: Cue,
}

impl CueingMedia {
    fn wrap(&self, name: &str, file: Arc<dyn MediaFile>) -> Arc<dyn MediaFile> {
        if name == INTENT_NAME { file } else { Arc::new(CueingFile { file, cue: self.cue.clone() }) }
    }
}

impl Media for CueingMedia {
    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str, length: u64) -> Result<Arc<dyn MediaFile>> {
        self.disk.create(name, length).map(|file| self.wrap(name, file))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn MediaFile>> {
        self.disk.open(name).map(|file| self.wrap(name, file))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn unlink(&self, name: &str) -> Result<()> {
        self.disk.unlink(name)
    }

    fn sync_directory(&self) -> Result<()> {
        self.disk.sync_directory()
    }

    fn space(&self) -> Result<MediaSpace> {
        self.disk.space()
    }
}

struct CueingFile {
    file: Arc<dyn MediaFile>,
    cue: Cue,
}

impl MediaFile for CueingFile {
    fn length(&self) -> Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn flush(&self) -> Result<()> {
        self.cue.give();
        self.file.flush()
    }

    fn punch(&self, offset: u64, length: u64) -> Result<()> {
        self.file.punch(offset, length)
    }

    fn truncate(&self, length: u64) -> Result<()> {
        self.file.truncate(length)
    }
}
