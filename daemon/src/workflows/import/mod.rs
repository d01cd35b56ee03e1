//! Import: makes a file system equal to a directory of the host.
//!
//! Invariant: only the calling thread makes, links and removes names, in the order of their bytes, so that inode
//! numbers depend on the source alone; the workers only fill files. Whatever equals the source already is not
//! changed, and what is written again with equal content is no write to the engine.

mod existing;
mod file;
mod settle;
mod walk;

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::thread;

use cow_storage::error::ErrorKind;
use cow_storage::fs::{Caller, Context, FileSystem};
use parking_lot::Mutex;

use crate::clock::now;
use crate::workflows::host::HostFolder;
use crate::workflows::import::file::{Buffers, Copier, Job};
use crate::workflows::import::walk::Walk;
use crate::workflows::queue::Queue;
use crate::workflows::run::{Reporter, Run};
use crate::workflows::{Copied, Error, Paths, Progress};

/// Files that are found and not yet opened; each holds its directory open.
const QUEUE_LEN: usize = 256;
/// What every further path would meet as well.
const FATAL: &[ErrorKind] = &[ErrorKind::NoSpace, ErrorKind::Quota, ErrorKind::ReadOnly, ErrorKind::Poisoned];

/// How to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// Threads that read files; at least one.
    pub threads: usize,
    /// Whether to go into what is mounted within the source. Otherwise its mount points come as empty directories.
    pub cross_mounts: bool,
    /// Whether to stop at the first path that cannot be copied, rather than to go on and fail at the end.
    pub stop_at_first: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { threads: default_threads(), cross_mounts: false, stop_at_first: false }
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// What the source had.
    pub copied: Copied,
    /// Names that were in the target and not in the source, or there as something else.
    pub removed: u64,
    /// Paths that changed while they were read: what was copied of them may be no state they ever had.
    pub changed: Paths,
    /// Mount points that were not entered.
    pub mounts: Paths,
    /// Objects with access control lists: these come out again by an export, but shares go by modes alone.
    pub access_lists: u64,
}

impl ImportReport {
    /// What the user should know, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let changed = self.changed.lines("changed while it was read");
        let mounts = self.mounts.lines("is a mount point and was not entered");
        let lists = (self.access_lists > 0).then(|| {
            format!("{} access control lists are kept for an export, but shares go by modes alone", self.access_lists)
        });
        changed.chain(mounts).chain(lists).collect()
    }
}

/// Makes `target` equal to the directory `source`: content, holes, names, links, owners, modes, times and extended
/// attributes.
///
/// Writes are unstable and changes not durable: the caller commits. `progress` is called on this thread, about ten
/// times a second, and ends the import by returning false.
///
/// # Errors
///
/// `Refused` if the source cannot be opened; `Incomplete` if some paths could not be read or written, and the rest is
/// there; `Stopped` if the target took no more; `Cancelled`.
pub fn import(
    source: &Path,
    target: &dyn FileSystem,
    options: &ImportOptions,
    progress: &dyn Fn(&Progress) -> bool,
) -> Result<ImportReport, Error> {
    let root = HostFolder::open(source)?;
    let context = Context { now: now(), caller: Caller::Superuser, durable: false, call: None };
    let run = Run::new(FATAL, options.stop_at_first);
    let reporter = Reporter::new(&run, progress);
    walk::count(&root, options.cross_mounts, &run, &reporter);
    let queue = Queue::new(QUEUE_LEN);
    let (changed, access_lists) = (Mutex::new(Paths::default()), AtomicU64::new(0));
    let copier =
        Copier { target, context: &context, run: &run, queue: &queue, changed: &changed, access_lists: &access_lists };
    let mut report = thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                let mut buffers = Buffers::new();
                queue.serve(|job: Job| copier.work(job, &mut buffers));
            });
        }
        let report = Walk::new(&copier, &reporter, options.cross_mounts).all(root);
        queue.finish(&|| reporter.tick());
        report
    });
    run.reach_end();
    reporter.tell();
    (report.copied, report.changed) = (run.done(), changed.into_inner());
    report.access_lists = access_lists.into_inner();
    run.outcome(|| "what was copied until then is in the dataset; import again to complete it".to_owned())?;
    Ok(report)
}

/// As many threads as there are processors, within reason.
pub(super) fn default_threads() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 8)
}
