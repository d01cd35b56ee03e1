//! One mount while it serves: the threads that answer the kernel, and its end.
//!
//! Invariant: once a session has ended, no thread of it is left and its path is free.

use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cow_api::v1::{Code, MountOptions, Problem};
use fuser::{Config, INodeNo, Notifier, SessionACL};
use rustix::io::Errno;

use crate::fuse::answers::Dispatch;
use crate::fuse::host;
use crate::fuse::keeper::Keeper;
use crate::fuse::roll::Roll;
use crate::fuse::volume::Volume;

/// Threads that answer, at least and at most: some wait for disks while others answer.
const THREADS: [usize; 2] = [8, 16];
/// Longest that the end of a session waits for what programs have mapped to be written.
const SYNC_TIME_MAX: Duration = Duration::from_secs(10);

/// A mount while it serves.
pub struct Session {
    path: PathBuf,
    volume: Arc<Volume>,
    notifier: Notifier,
    keeper: Keeper,
    roll: Arc<Roll>,
    server: Option<JoinHandle<()>>,
}

impl Session {
    /// Mounts and serves. `name` is what the host is told that it is. `broken` is called if a thread of it dies, after
    /// which it is only to be ended.
    pub fn start(
        path: PathBuf,
        name: &str,
        volume: Arc<Volume>,
        options: MountOptions,
        broken: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, Problem> {
        let read_only = options.read_only || volume.is_snapshot();
        let hidden = host::create(name, options, read_only)?;
        let cannot = |error: io::Error| Problem::new(Code::Io, format!("cannot serve {}: {error}", path.display()));
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (2 * processors).clamp(THREADS[0], THREADS[1]);
        let roll = Roll::new(threads, broken);
        let dispatch = Dispatch(volume.clone(), roll.clone());
        let (server, notifier) = Self::serve(&path, hidden.device, dispatch, threads).map_err(cannot)?;
        let root = roll.call(hidden.root).map_err(cannot)?;
        let keeper = Keeper::start(volume.clone(), notifier.clone()).map_err(cannot)?;
        host::show(&root, &path)?;
        host::read_far_ahead(&path);
        Ok(Self { path, volume, notifier, keeper, roll, server: Some(server) })
    }

    fn serve(
        path: &Path,
        device: OwnedFd,
        dispatch: Dispatch,
        threads: usize,
    ) -> io::Result<(JoinHandle<()>, Notifier)> {
        let mut config = Config::default();
        config.n_threads = Some(threads);
        config.clone_fd = true;
        let volume = dispatch.0.clone();
        // The kernel keeps others out, unless they are let in.
        let session = fuser::Session::from_fd(dispatch, device, SessionACL::All, config)?;
        let (notifier, shown) = (session.notifier(), path.display().to_string());
        let (weak, refreshing) = (Arc::downgrade(&volume), notifier.clone());
        volume.locking.set_refresh(Box::new(move |inode, reply| match weak.upgrade() {
            Some(volume) => Keeper::refresh(&volume, &refreshing, inode, reply),
            None => reply.ok(),
        }));
        let serve = move || {
            if let Err(error) = session.run() {
                tracing::error!(path = shown, %error, "a mount stopped serving");
            }
        };
        let server = thread::Builder::new().name("mount".to_owned()).spawn(serve)?;
        Ok((server, notifier))
    }

    /// What it serves.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Whether a thread of it has died, so that it must be ended.
    pub fn is_broken(&self) -> bool {
        self.roll.is_broken()
    }

    /// Whether it is still there: somebody may have unmounted it without asking the daemon.
    pub fn is_serving(&self) -> bool {
        self.is_broken() || self.server.as_ref().is_some_and(|server| !server.is_finished())
    }

    /// Has the kernel ask anew for everything that it keeps.
    pub fn drop_caches(&self) {
        self.volume.nodes.distrust();
        for inode in self.volume.nodes.known() {
            let _ = self.notifier.inval_inode(INodeNo(inode.0), 0, 0);
        }
    }

    /// Ends it if nobody uses it.
    pub fn end_idle(&mut self) -> Result<(), Problem> {
        match host::unmount_idle(&self.path) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(Errno::BUSY) => {
                let detail = format!("{} is in use: programs work in it or have files open", self.path.display());
                let hint = "end them ('fuser -vm PATH' lists them), or add --force: then they get errors";
                return Err(Problem::new(Code::Busy, detail).with_hint(hint));
            }
            Err(errno) => {
                let error = io::Error::from(errno);
                return Err(Problem::new(Code::Io, format!("cannot unmount {}: {error}", self.path.display())));
            }
        }
        self.join();
        Ok(())
    }

    /// Ends it whoever uses it. What programs have written to memory that maps a file is kept if it can be.
    pub fn end(&mut self) {
        if host::unmount_idle(&self.path).is_err() && self.is_serving() {
            self.sync();
            if let Err(errno) = host::detach(&self.path) {
                let error = io::Error::from(errno);
                tracing::warn!(path = %self.path.display(), %error, "cannot unmount");
            }
        }
        self.join();
    }

    /// Has the kernel write back. In a thread of its own, which the daemon does not wait for any longer than it must.
    fn sync(&self) {
        let (path, volume, notifier) = (self.path.clone(), self.volume.clone(), self.notifier.clone());
        let sync = move || {
            if let Ok(root) = std::fs::File::open(path) {
                let _ = rustix::fs::syncfs(root);
            }
            // Of FUSE, Linux 6.16 and later begins to write and does not wait. To drop pages, it must wait.
            for inode in volume.nodes.open_files() {
                let _ = notifier.inval_inode(INodeNo(inode.0), 0, 0);
            }
        };
        if let Ok(syncing) = thread::Builder::new().name("mount-sync".to_owned()).spawn(sync) {
            wait_for(&syncing, SYNC_TIME_MAX);
        }
    }

    fn join(&mut self) {
        let threads = [self.keeper.stop(), self.server.take()];
        for thread in threads.into_iter().flatten() {
            if wait_for(&thread, SYNC_TIME_MAX) {
                let _ = thread.join();
            }
        }
        self.volume.locking.release_all();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for a thread's end, and tells whether it came.
fn wait_for<T>(thread: &JoinHandle<T>, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while !thread.is_finished() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}
