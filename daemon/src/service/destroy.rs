//! Destroying, what it would free, and taking it back.

use cow_api::time::Time;
use cow_api::v1::{Change, Code, Destroyed, DestroyedEach, Listing, Problem, Undelete, Undeleted};
use cow_storage::catalog::DatasetInfo;
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::{DatasetId, Timestamp};

use crate::clock;
use crate::service::convert::Names;
use crate::service::problem::{of, problem};
use crate::service::sharing::is_at_or_below;
use crate::service::{Answer, Service};

/// How to destroy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Whether datasets below go too.
    pub recursive: bool,
    /// Whether it cannot be undeleted, so that the space comes back soon.
    pub at_once: bool,
    /// Whether to say only what would happen.
    pub dry_run: bool,
}

impl How {
    /// How many pointers may be looked at to tell what comes back: a destroy itself takes a moment, whatever the size.
    fn patience(self) -> u64 {
        if self.dry_run { u64::MAX } else { 10_000 }
    }
}

/// Destroyed then, its wait has always ended.
const LONG_AGO: Timestamp = Timestamp { seconds: 0, nanoseconds: 0 };

impl Service {
    /// Destroys a dataset with its snapshots.
    pub fn destroy_dataset(&self, name: &str, how: How) -> Answer<Destroyed> {
        self.pool().dataset(name).map_err(problem)?;
        self.destroy(name, how)
    }

    /// Destroys a snapshot, by its full name.
    pub fn destroy_snapshot(&self, name: &str, how: How) -> Answer<Destroyed> {
        self.pool().snapshot_info(name).map_err(problem)?;
        self.destroy(name, how)
    }

    fn destroy(&self, name: &str, how: How) -> Answer<Destroyed> {
        let DestroyedEach { mut destroyed, problem } = self.destroy_each(&[name.to_owned()], how)?;
        problem.map_or_else(|| Ok(destroyed.remove(0)), Err)
    }

    /// Destroys several in one step, one after the other until one cannot be. Fails, and destroys nothing, if that can be foreseen.
    pub fn destroy_each(&self, names: &[String], how: How) -> Answer<DestroyedEach> {
        if names.is_empty() {
            return Err(
                Problem::new(Code::InvalidRequest, "no dataset or snapshot is named").with_hint("name at least one")
            );
        }
        let patience = how.patience() / names.len() as u64;
        let mut foreseen = Vec::new();
        let mut datasets = Vec::new();
        for name in names {
            let (mut destroyed, ids) = self.foresee(name, how, patience)?;
            destroyed.dry_run = how.dry_run;
            if !how.dry_run {
                self.check_unused(&destroyed, &ids)?;
            }
            foreseen.push(destroyed);
            datasets.push(ids);
        }
        if how.dry_run {
            return Ok(DestroyedEach { destroyed: foreseen, problem: None });
        }
        let now = clock::now();
        let since = if how.at_once { LONG_AGO } else { now };
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        let (count, stopped) = self.pool().destroy_each(&asked, how.recursive, since).map_err(problem)?;
        foreseen.truncate(count);
        for (destroyed, ids) in foreseen.iter_mut().zip(datasets) {
            self.forget(destroyed, ids);
            destroyed.undelete_until = (!how.at_once).then(|| self.undelete_until(now));
        }
        self.parts.maintenance.wake();
        let problem = stopped.err().map(|error| self.not_destroyed(&names[count], error));
        Ok(DestroyedEach { destroyed: foreseen, problem })
    }

    /// What goes with a name.
    fn foresee(&self, name: &str, how: How, patience: u64) -> Answer<(Destroyed, Vec<DatasetId>)> {
        if !name.contains('@') {
            return self.family(name, how, patience);
        }
        self.pool().snapshot_info(name).map_err(problem)?;
        let frees = self.would_free(name, patience)?;
        Ok((Destroyed { snapshots: vec![name.to_owned()], ..nothing(name, frees) }, Vec::new()))
    }

    /// Ends what was served of it, and tells those who listen.
    fn forget(&self, destroyed: &Destroyed, datasets: Vec<DatasetId>) {
        self.unshare(datasets);
        destroyed.datasets.iter().for_each(|dataset| self.dataset_changed(dataset, Change::Destroyed));
        destroyed.snapshots.iter().for_each(|snapshot| self.snapshot_changed(snapshot, Change::Destroyed));
    }

    fn undelete_until(&self, now: Timestamp) -> Time {
        let window = i64::try_from(self.parts.undelete_window.as_secs()).unwrap_or(i64::MAX);
        clock::time(Timestamp { seconds: now.seconds.saturating_add(window), nanoseconds: 0 })
    }

    /// Fails if any of it is mounted on this host.
    fn check_unused(&self, destroyed: &Destroyed, datasets: &[DatasetId]) -> Answer<()> {
        for (name, dataset) in destroyed.datasets.iter().zip(datasets) {
            self.check_not_mounted(name, *dataset, None)?;
        }
        if destroyed.datasets.is_empty() {
            let info = self.pool().snapshot_info(&destroyed.name).map_err(problem)?;
            self.check_not_mounted(&destroyed.name, info.dataset, Some(info.id))?;
        }
        Ok(())
    }

    /// A dataset with its snapshots, and with those below it if they go too.
    fn family(&self, name: &str, how: How, patience: u64) -> Answer<(Destroyed, Vec<DatasetId>)> {
        let mut datasets = vec![self.pool().dataset(name).map_err(problem)?];
        if how.recursive {
            let is_below = |info: &DatasetInfo| info.name != name && is_at_or_below(&info.name, name);
            datasets.extend(self.listing()?.datasets.into_iter().filter(is_below));
        }
        let mut destroyed = nothing(name, Some(0));
        for info in &datasets {
            if let Some(frees) = destroyed.frees {
                let more = self.would_free(&info.name, patience)?;
                destroyed.frees = more.map(|more| frees + more);
            }
            let snapshots = self.pool().snapshots_of(info.id).map_err(problem)?;
            destroyed.snapshots.extend(snapshots.into_iter().map(|(part, _)| format!("{}@{part}", info.name)));
            destroyed.datasets.push(info.name.clone());
        }
        Ok((destroyed, datasets.iter().map(|info| info.id).collect()))
    }

    fn not_destroyed(&self, name: &str, error: Error) -> Problem {
        match error.kind() {
            ErrorKind::Busy => {
                let held = of(Code::Held, &error);
                held.with_hint("'cowctl get SNAPSHOT holds' lists them; a held snapshot stays until they are released")
            }
            ErrorKind::NotEmpty => problem(error).with_hint(format!("'cowctl destroy -r {name}' takes them along")),
            _ => problem(error),
        }
    }

    /// What was destroyed and can be undeleted.
    pub fn destroyed(&self) -> Answer<Listing> {
        let destroyed = self.pool().destroyed().map_err(problem)?;
        let mut names = Names::of(&self.listing()?);
        names.add(&destroyed);
        Ok(Listing {
            datasets: destroyed.datasets.iter().map(|info| self.listed_dataset(&names, info)).collect(),
            snapshots: destroyed.snapshots.iter().map(|info| names.snapshot(info)).collect(),
        })
    }

    /// Takes a destroy back.
    pub fn undelete(&self, name: &str, request: &Undelete) -> Answer<Undeleted> {
        // A snapshot stays with its dataset: of a new name only the part behind the @ is news.
        let to = request.to.as_deref().map(|to| match name.split_once('@') {
            Some((dataset, _)) => to.strip_prefix(dataset).and_then(|part| part.strip_prefix('@')).unwrap_or(to),
            None => to,
        });
        self.pool().undelete(name, to, clock::now()).map_err(|error| match error.kind() {
            ErrorKind::NotFound => problem(error).with_hint("'cowctl list --destroyed' lists what can come back"),
            ErrorKind::Exists => problem(error).with_hint("give another name to come back by"),
            _ => problem(error),
        })?;
        let name = match (name.split_once('@'), to) {
            (_, None) => name.to_owned(),
            (Some((dataset, _)), Some(part)) => format!("{dataset}@{part}"),
            (None, Some(to)) => to.to_owned(),
        };
        if name.contains('@') {
            self.snapshot_changed(&name, Change::Undeleted);
        } else {
            self.share_below(&name)?;
            self.dataset_changed(&name, Change::Undeleted);
        }
        Ok(Undeleted { name })
    }
}

fn nothing(name: &str, frees: Option<u64>) -> Destroyed {
    Destroyed {
        name: name.to_owned(),
        dry_run: false,
        frees,
        datasets: Vec::new(),
        snapshots: Vec::new(),
        undelete_until: None,
    }
}
