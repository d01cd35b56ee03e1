//! Export: writes a file system out as plain files.
//!
//! Invariant: everything is made new, in directories that were made or checked by this very export and are held open,
//! so no symbolic link leads a write out of the destination, whoever else writes there.

mod dress;
mod file;
mod remove;
mod walk;

use std::path::Path;
use std::thread;

use cow_storage::error::{Error as EngineError, ErrorKind, Result as EngineResult};
use cow_storage::format::Timestamp;
use cow_storage::fs::{Caller, Context, FileSystem};
use rustix::fs::{CWD, Mode, mkdirat, syncfs};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::workflows::export::dress::Dresser;
use crate::workflows::export::file::{Copier, Job};
use crate::workflows::export::walk::Walk;
use crate::workflows::host::{HostFolder, host_error};
use crate::workflows::import::default_threads;
use crate::workflows::queue::Queue;
use crate::workflows::run::{Reporter, Run};
use crate::workflows::{Copied, Error, Progress};

/// Files that are made and not yet filled; each is open.
const QUEUE_LEN: usize = 128;
/// What every further path would meet as well.
const FATAL: &[ErrorKind] = &[ErrorKind::NoSpace, ErrorKind::Quota, ErrorKind::ReadOnly, ErrorKind::Poisoned];

/// How to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Threads that write files; at least one.
    pub threads: usize,
    /// Whether to stop at the first path that cannot be written, rather than to go on and fail at the end.
    pub stop_at_first: bool,
    /// Whether to remove what was written when the export stops half-way.
    pub remove_when_stopped: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { threads: default_threads(), stop_at_first: false, remove_when_stopped: true }
    }
}

/// What an export did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// What was written.
    pub copied: Copied,
    /// Whether owners and groups were kept. Only root can do that; others own what they write, and then no file runs
    /// with the rights of its owner (the set-user-id and set-group-id bits are left out).
    pub owners_kept: bool,
    /// Extended attributes that the host or its file system refused.
    pub xattrs_refused: u64,
}

impl ExportReport {
    /// What the user should know, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let owners = (!self.owners_kept).then(|| "owners were not kept: only root can set them".to_owned());
        let refused = self.xattrs_refused;
        let xattrs = (refused > 0).then(|| format!("the host refused {refused} extended attributes"));
        owners.into_iter().chain(xattrs).collect()
    }
}

/// Writes `source` into the directory `destination`, which must be empty or not there: content, holes, names, links,
/// modes, times, extended attributes and, for root, owners. All of it is durable on return.
///
/// `progress` is called on this thread, about ten times a second, and ends the export by returning false.
///
/// # Errors
///
/// `Refused` if the destination is not empty or cannot be made; `Incomplete` if some paths could not be read or
/// written, and the rest is there; `Stopped` if the host took no more; `Cancelled`.
pub fn export(
    source: &dyn FileSystem,
    destination: &Path,
    options: &ExportOptions,
    progress: &dyn Fn(&Progress) -> bool,
) -> Result<ExportReport, Error> {
    let (root, made) = prepare(destination)?;
    // Nothing is changed in the source, so the time is for nothing.
    let context = Context { now: Timestamp::default(), caller: Caller::Superuser, durable: false, call: None };
    let dresser = Dresser::new(source, &context, geteuid().is_root());
    let run = Run::new(FATAL, options.stop_at_first);
    let reporter = Reporter::new(&run, progress);
    let queue = Queue::new(QUEUE_LEN);
    let copier = Copier { source, context: &context, run: &run, queue: &queue, dresser: &dresser };
    thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                let mut buffer = vec![0; file::PIECE_LEN];
                queue.serve(|job: Job| copier.work(job, &mut buffer));
            });
        }
        let walk = Walk::new(&copier, &reporter);
        walk.count();
        walk.all(root.try_clone());
        queue.finish(&|| reporter.tick());
    });
    run.reach_end();
    reporter.tell();
    if let Err(errno) = syncfs(&root) {
        run.fail(b"", host_error(errno, "cannot make what was written durable"));
    }
    let done = run.done();
    let stopped = !run.goes_on();
    run.outcome(|| left(destination, &root, made, done, stopped && options.remove_when_stopped))?;
    let (owners_kept, xattrs_refused) = (dresser.keeps_owners, dresser.refused());
    Ok(ExportReport { copied: done, owners_kept, xattrs_refused })
}

/// Opens the destination, which is empty, and tells whether it was made.
fn prepare(destination: &Path) -> EngineResult<(HostFolder, bool)> {
    let made = match mkdirat(CWD, destination, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(host_error(errno, format!("cannot make the directory {}", destination.display()))),
    };
    let root = HostFolder::open_itself(destination)?;
    if !root.names()?.is_empty() {
        let problem = format!("{} is not empty: an export goes into a new or empty directory", destination.display());
        return Err(EngineError::new(ErrorKind::NotEmpty, problem));
    }
    Ok((root, made))
}

/// Says what is left in the destination, after removing it if that is wanted.
fn left(destination: &Path, root: &HostFolder, made: bool, done: Copied, remove: bool) -> String {
    let shown = destination.display();
    if !remove {
        return format!("{} names and {} bytes are left in {shown}", done.names(), done.bytes);
    }
    match remove::content(root) {
        Ok(()) if made && std::fs::remove_dir(destination).is_ok() => format!("{shown} was removed again"),
        Ok(()) => format!("{shown} is empty again"),
        Err(error) => format!("a part of it is left in {shown}, as it could not be removed: {error:?}"),
    }
}
