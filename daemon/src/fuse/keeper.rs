//! Looks after what the kernel keeps: pages of open files that somebody else has changed are dropped.
//!
//! The kernel drops pages by itself only when a file is opened, and is told then. So each second the files that are open are
//! asked for their change counters, whoever changes them: an NFS client, another mount, an import. And whenever one is locked.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cow_storage::format::InodeNumber;
use fuser::{INodeNo, Notifier, ReplyEmpty};
use parking_lot::{Condvar, Mutex};

use crate::fuse::volume::{LIFETIME, Volume};

/// In this time whoever makes a change through this kernel has noted it.
const NOTED: Duration = Duration::from_millis(20);
/// It takes at most such a part of a processor's time, however many files are open.
const SHARE: u32 = 50;

/// A thread that looks after a mount's pages.
pub struct Keeper {
    has_ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Begins to look after a mount. Of a snapshot nothing ever changes.
    pub fn start(volume: Arc<Volume>, notifier: Notifier) -> std::io::Result<Self> {
        let has_ended = Arc::new((Mutex::new(false), Condvar::new()));
        let (ended, is_needed) = (has_ended.clone(), !volume.is_snapshot());
        let keep = move || {
            let mut pause = LIFETIME;
            while !waits(&ended, pause) {
                let began = Instant::now();
                look(&volume, &notifier);
                pause = LIFETIME.max(began.elapsed().saturating_sub(NOTED) * SHARE);
            }
        };
        let begin = || thread::Builder::new().name("mount-keeper".to_owned()).spawn(keep);
        let thread = if is_needed { Some(begin()?) } else { None };
        Ok(Self { has_ended, thread })
    }

    /// Answers that a file is locked, once the kernel has no page of it from before.
    ///
    /// In a thread of its own if there may be some: what is mapped and dirty is written first, and those that answer
    /// writes are needed for that.
    pub fn refresh(volume: &Arc<Volume>, notifier: &Notifier, inode: InodeNumber, reply: ReplyEmpty) {
        let Some(change) = behind(volume, inode) else { return reply.ok() };
        let (volume, notifier) = (volume.clone(), notifier.clone());
        let drop_pages = move || {
            catch_up(&volume, &notifier, inode, change);
            reply.ok();
        };
        // A reply that is dropped is an error.
        if let Err(error) = thread::Builder::new().name("mount-refresh".to_owned()).spawn(drop_pages) {
            tracing::warn!(%error, "cannot answer who locks a file");
        }
    }

    /// Has it end, and hands its thread over.
    pub fn stop(&mut self) -> Option<JoinHandle<()>> {
        *self.has_ended.0.lock() = true;
        self.has_ended.1.notify_all();
        self.thread.take()
    }
}

/// Waits, and tells whether the end came.
fn waits(ended: &(Mutex<bool>, Condvar), pause: Duration) -> bool {
    let mut has_ended = ended.0.lock();
    if !*has_ended {
        ended.1.wait_for(&mut has_ended, pause);
    }
    *has_ended
}

/// A file's change counter, if the kernel may have pages that are older.
fn behind(volume: &Volume, inode: InodeNumber) -> Option<u64> {
    let change = volume.files().attributes(inode).ok()?.change;
    volume.nodes.is_behind(inode, change).then_some(change)
}

/// Drops pages. In this order: what is read after they went is of this change, or of a later one.
fn catch_up(volume: &Volume, notifier: &Notifier, inode: InodeNumber, change: u64) {
    let _ = notifier.inval_inode(INodeNo(inode.0), 0, 0);
    volume.nodes.catch_up(inode, change);
}

fn look(volume: &Volume, notifier: &Notifier) {
    let suspect = |inode: InodeNumber| Some((inode, behind(volume, inode)?));
    let suspects: Vec<(InodeNumber, u64)> = volume.nodes.open_files().into_iter().filter_map(suspect).collect();
    if suspects.is_empty() {
        return;
    }
    thread::sleep(NOTED);
    for (inode, change) in suspects {
        if volume.nodes.is_behind(inode, change) {
            catch_up(volume, notifier, inode, change);
        }
    }
}
