//! Looks after what the kernel keeps: pages of open files that somebody else has changed are dropped.
//!
//! The kernel drops pages by itself only when a file is opened, and is told then. So each second the files that are open are
//! asked for their change counters, whoever changes them: an NFS client, another mount, an import.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cow_storage::format::InodeNumber;
use fuser::{INodeNo, Notifier};
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

fn look(volume: &Volume, notifier: &Notifier) {
    let behind = |inode: InodeNumber| {
        let change = volume.files().attributes(inode).ok()?.change;
        volume.nodes.is_behind(inode, change).then_some((inode, change))
    };
    let suspects: Vec<(InodeNumber, u64)> = volume.nodes.open_files().into_iter().filter_map(behind).collect();
    if suspects.is_empty() {
        return;
    }
    thread::sleep(NOTED);
    for (inode, change) in suspects {
        if volume.nodes.is_behind(inode, change) {
            // In this order: what is read after the pages went is of this change, or of a later one.
            let _ = notifier.inval_inode(INodeNo(inode.0), 0, 0);
            volume.nodes.catch_up(inode, change);
        }
    }
}
