//! All mounts of the daemon: ordered, restored, listed and ended.
//!
//! Invariant: what is in the table is in the record, and the other way round; a mount is in the table from the
//! moment it serves until the moment it does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;

use cow_api::time::Time;
use cow_api::v1::{Code, Mount, MountState, NewMount, Problem};
use cow_storage::error::ErrorKind;
use cow_storage::format::{DatasetId, SnapshotId};
use parking_lot::Mutex;

use crate::clock;
use crate::fuse::counters::Counting;
use crate::fuse::host;
use crate::fuse::locking::Locking;
use crate::fuse::metrics;
use crate::fuse::record::{Order, Record};
use crate::fuse::session::Session;
use crate::fuse::volume::{LIFETIME, Volume};
use crate::locks::Locks;
use crate::metrics::Page;
use crate::service::{Answer, LocalMounts};
use crate::shares::{View, Views};

/// All mounts.
pub struct Mounts {
    views: Arc<dyn Views>,
    pool: PathBuf,
    record: Record,
    locks: Arc<Locks>,
    counting: Arc<Counting>,
    /// Held by one verb at a time; the table itself is never held while the host works.
    changing: Mutex<()>,
    table: Mutex<BTreeMap<PathBuf, Entry>>,
    itself: Weak<Self>,
}

struct Entry {
    order: Order,
    /// The mount and its beginning, or why there is none.
    session: Result<(Session, Time), String>,
}

impl Mounts {
    /// No mounts yet of `views`, whose pool is in the directory `pool`, with the locks of all fronts.
    pub fn new(views: Arc<dyn Views>, locks: Arc<Locks>, pool: &Path) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            views,
            pool: pool.to_owned(),
            record: Record::new(pool),
            locks,
            counting: Arc::default(),
            changing: Mutex::default(),
            table: Mutex::default(),
            itself: itself.clone(),
        })
    }

    /// Makes the mounts again that were there when the daemon ended, as far as that can be done.
    pub fn restore(&self) {
        let _changing = self.changing.lock();
        let orders = self.record.read().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read which mounts were ordered; none is made");
            Vec::new()
        });
        let mut lost = false;
        for order in orders {
            let (path, name) = (order.path.display().to_string(), order.name.clone());
            match self.begin(order.clone()) {
                Ok(_) => tracing::info!(path, name, "mounted again"),
                Err(problem) if problem.code == Code::NotFound && self.is_gone(&order) => {
                    tracing::warn!(path, name, "not mounted again: it is gone");
                    lost = true;
                }
                Err(problem) => {
                    tracing::error!(path, name, %problem, "cannot mount again");
                    let entry = Entry { order, session: Err(problem.detail) };
                    self.table.lock().insert(entry.order.path.clone(), entry);
                }
            }
        }
        if lost {
            self.write_record();
        }
    }

    /// Ends all mounts, whoever uses them. They stay ordered.
    pub fn stop(&self) {
        let _changing = self.changing.lock();
        let table = std::mem::take(&mut *self.table.lock());
        // Each may wait for programs' last writes.
        thread::scope(|scope| {
            for (mut session, _) in table.into_values().filter_map(|entry| entry.session.ok()) {
                scope.spawn(move || session.end());
            }
        });
    }

    /// Tells what they have done.
    pub fn metrics(&self, page: &mut Page) {
        let (mut serving, mut open_files) = (0, 0);
        for entry in self.table.lock().values() {
            if let Ok((session, _)) = &entry.session {
                serving += 1;
                open_files += session.volume().nodes.openings();
            }
        }
        metrics::publish(&self.counting, serving, open_files, page);
    }

    /// Mounts what was ordered, and returns where that really is.
    fn begin(&self, order: Order) -> Result<PathBuf, Problem> {
        let view = self.view(&order)?;
        let real = host::mount_point(&order.path, &self.pool)?;
        let locking = Locking::new(self.locks.clone(), &view, &host::text(&real));
        let volume = Arc::new(Volume::new(view, locking, order.options, self.counting.clone()));
        let broken = Self::mender(self.itself.clone(), real.clone());
        let session = Session::start(real.clone(), &order.name, volume, order.options, broken)?;
        let order = Order { path: real.clone(), ..order };
        let session = Ok((session, clock::time(clock::now())));
        self.table.lock().insert(real.clone(), Entry { order, session });
        Ok(real)
    }

    /// What has a mount made anew, in a thread of its own.
    fn mender(itself: Weak<Self>, path: PathBuf) -> Box<dyn Fn() + Send + Sync> {
        Box::new(move || {
            let (itself, path) = (itself.clone(), path.clone());
            let mend = move || {
                if let Some(itself) = itself.upgrade() {
                    itself.mend(&path);
                }
            };
            if let Err(error) = thread::Builder::new().name("mount-mender".to_owned()).spawn(mend) {
                tracing::error!(%error, "cannot mend a mount");
            }
        })
    }

    /// Ends a mount of which a thread has died, with errors for who uses it, and mounts again.
    fn mend(&self, path: &Path) {
        let _changing = self.changing.lock();
        let broken = {
            let mut table = self.table.lock();
            let is_broken = table
                .get(path)
                .is_some_and(|entry| entry.session.as_ref().is_ok_and(|(session, _)| session.is_broken()));
            // It stays in the table, as it stays ordered.
            let mending = Err("it is being mounted again".to_owned());
            let entry = table.get_mut(path).filter(|_| is_broken);
            entry.map(|entry| (entry.order.clone(), std::mem::replace(&mut entry.session, mending)))
        };
        let Some((order, session)) = broken else { return };
        drop(session);
        let shown = path.display().to_string();
        match self.begin(order.clone()) {
            Ok(_) => tracing::error!(path = shown, "a thread of a mount died of a mistake; it was mounted again"),
            Err(problem) => {
                tracing::error!(path = shown, %problem, "a thread of a mount died of a mistake; cannot mount again");
                self.table.lock().insert(path.to_owned(), Entry { order, session: Err(problem.detail) });
            }
        }
    }

    fn view(&self, order: &Order) -> Result<View, Problem> {
        let view = self.views.share_by_id(DatasetId(order.dataset), order.snapshot.map(SnapshotId));
        view.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::Stale => Problem::new(Code::NotFound, format!("{} is gone", order.name)),
            _ => Problem::new(Code::Io, format!("cannot look at {}: {error}", order.name)),
        })
    }

    fn is_gone(&self, order: &Order) -> bool {
        self.view(order).is_err()
    }

    /// The ids of a dataset or snapshot.
    fn find(&self, name: &str) -> Result<(DatasetId, Option<SnapshotId>), Problem> {
        let missing = || {
            let problem = Problem::new(Code::NotFound, format!("there is no dataset or snapshot '{name}'"));
            problem.with_hint("'cowctl list -t all' shows what there is")
        };
        let (dataset, snapshot) = name.split_once('@').map_or((name, None), |(front, back)| (front, Some(back)));
        let path = format!("/{dataset}").into_bytes();
        let (share, rest) = self.views.share_by_path(&path).ok_or_else(missing)?;
        if !rest.is_empty() || share.dataset_name != dataset {
            return Err(missing());
        }
        let snapshot = match snapshot {
            Some(snapshot) => Some(self.views.snapshot_named(share.dataset, snapshot).map_err(|_| missing())?),
            None => None,
        };
        Ok((share.dataset, snapshot))
    }

    /// What a mount is called now: it may have been renamed.
    fn name_of(&self, order: &Order) -> String {
        let name = || {
            let share = self.views.share_by_id(DatasetId(order.dataset), None).ok()?.share;
            let Some(snapshot) = order.snapshot else { return Some(share.dataset_name.clone()) };
            let mut snapshots = self.views.snapshots(share.dataset).ok()?.into_iter();
            let found = snapshots.find(|found| found.id.0 == snapshot)?;
            Some(format!("{}@{}", share.dataset_name, found.name))
        };
        name().unwrap_or_else(|| order.name.clone())
    }

    fn shown(&self, entry: &Entry) -> Mount {
        let (state, since, failure, open_files) = match &entry.session {
            Ok((session, since)) => (MountState::Mounted, Some(*since), None, session.volume().nodes.openings()),
            Err(failure) => (MountState::Failed, None, Some(failure.clone()), 0),
        };
        let (path, name) = (host::text(&entry.order.path), self.name_of(&entry.order));
        Mount { path, name, options: entry.order.options, state, failure, since, open_files }
    }

    /// Forgets what somebody has unmounted without asking.
    fn forget_ended(&self) {
        let mut table = self.table.lock();
        let has_ended = |entry: &Entry| entry.session.as_ref().is_ok_and(|(session, _)| !session.is_serving());
        let ended: Vec<PathBuf> =
            table.iter().filter(|(_, entry)| has_ended(entry)).map(|(path, _)| path.clone()).collect();
        let ended: Vec<Entry> = ended.iter().filter_map(|path| table.remove(path)).collect();
        drop(table);
        if !ended.is_empty() {
            self.write_record();
        }
    }

    fn write_record(&self) -> bool {
        let table = self.table.lock();
        let written = self.record.write(table.values().map(|entry| &entry.order));
        written.inspect_err(|error| tracing::error!(%error, "cannot record which mounts were ordered")).is_ok()
    }

    fn end(&self, path: &Path, force: bool) -> Result<Option<Mount>, Problem> {
        let Some(mut entry) = self.table.lock().remove(path) else { return Ok(None) };
        let shown = self.shown(&entry);
        let ended = match &mut entry.session {
            Ok((session, _)) if force => {
                session.end();
                Ok(())
            }
            Ok((session, _)) => session.end_idle(),
            Err(_) => Ok(()),
        };
        if let Err(problem) = ended {
            self.table.lock().insert(path.to_owned(), entry);
            return Err(problem);
        }
        self.write_record();
        Ok(Some(shown))
    }
}

impl LocalMounts for Mounts {
    fn mount(&self, order: &NewMount) -> Answer<Mount> {
        let _changing = self.changing.lock();
        self.forget_ended();
        let (dataset, snapshot) = self.find(&order.name)?;
        let (path, options) = (PathBuf::from(&order.path), order.options());
        let (dataset, snapshot) = (dataset.0, snapshot.map(|snapshot| snapshot.0));
        let order = Order { path, dataset, snapshot, name: order.name.clone(), options };
        // One that failed at the start is ordered anew.
        self.table.lock().retain(|path, entry| *path != order.path || entry.session.is_ok());
        let real = self.begin(order)?;
        if !self.write_record() {
            let _ = self.end(&real, true);
            return Err(Problem::new(Code::Io, "cannot record the mount, so it would not come back".to_owned()));
        }
        let table = self.table.lock();
        let entry = table.get(&real).ok_or_else(|| Problem::new(Code::Internal, "the mount is gone".to_owned()))?;
        Ok(self.shown(entry))
    }

    fn unmount(&self, path_or_name: &str, force: bool) -> Answer<Vec<Mount>> {
        let _changing = self.changing.lock();
        self.forget_ended();
        let found: Vec<PathBuf> = {
            let table = self.table.lock();
            let is_it = |entry: &&Entry| match path_or_name.starts_with('/') {
                true => entry.order.path == Path::new(path_or_name),
                false => self.name_of(&entry.order) == path_or_name,
            };
            table.values().filter(is_it).map(|entry| entry.order.path.clone()).collect()
        };
        if found.is_empty() {
            let problem = Problem::new(Code::NotFound, format!("cow has not mounted {path_or_name}"));
            return Err(problem.with_hint("'cowctl mount' lists what it has"));
        }
        let mut ended = Vec::new();
        for path in found {
            ended.extend(self.end(&path, force)?);
        }
        Ok(ended)
    }

    fn list(&self) -> Vec<Mount> {
        if let Some(_changing) = self.changing.try_lock() {
            self.forget_ended();
        }
        self.table.lock().values().map(|entry| self.shown(entry)).collect()
    }

    fn paths_of(&self, dataset: DatasetId, snapshot: Option<SnapshotId>) -> Vec<String> {
        let is_it = |order: &Order| {
            order.dataset == dataset.0 && (snapshot.is_none() || order.snapshot == snapshot.map(|snapshot| snapshot.0))
        };
        let table = self.table.lock();
        let serving =
            table.values().filter(|entry| entry.session.as_ref().is_ok_and(|(session, _)| session.is_serving()));
        serving.filter(|entry| is_it(&entry.order)).map(|entry| host::text(&entry.order.path)).collect()
    }

    fn content_changed(&self, dataset: DatasetId) {
        let mut is_mounted = false;
        for entry in self.table.lock().values() {
            if let (Ok((session, _)), true) = (&entry.session, entry.order.dataset == dataset.0)
                && entry.order.snapshot.is_none()
            {
                session.drop_caches();
                is_mounted = true;
            }
        }
        // Names cannot be called back, but they expire.
        if is_mounted {
            thread::sleep(LIFETIME);
        }
    }
}
