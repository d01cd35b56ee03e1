//! Workers: what plugins do for dSources in use now and then, between syncs (`linked.worker` of the SDK).
//!
//! Invariant: of a source one runs at a time, and none while a job works on it; one that a job comes upon is cancelled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::plugins::{Call, Operation};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::records::{Fault, Kind, Source};

/// How often they run, as plugins' authors are told.
pub const WORKER_PACE: Duration = Duration::from_secs(10);
/// So many run at once.
const AT_ONCE_MAX: usize = 8;
/// What their faults are told of, before the source's name.
const SUBJECT: &str = "worker of ";

/// All workers.
#[derive(Default)]
pub struct Workers {
    running: Arc<Mutex<BTreeSet<u64>>>,
    /// The source whose worker began last: those after it are next.
    last: u64,
}

/// One that runs, until this is dropped.
struct Running {
    all: Arc<Mutex<BTreeSet<u64>>>,
    source: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.lock().remove(&self.source);
    }
}

impl Workers {
    /// Begins the worker of each dSource that is in use and has one, in threads of their own.
    pub fn tick(&mut self, on: &Arc<Virtualization>) -> Answer<()> {
        let (mut rows, faults) = on.state.read(|view| Ok((view.all::<Source>()?, view.all::<Fault>()?)))?;
        rows.retain(|row| works(on, &row.record));
        for fault in faults.iter().filter_map(|row| row.record.subject.strip_prefix(SUBJECT)) {
            if !rows.iter().any(|row| row.record.name == fault) {
                on.mend(&format!("{SUBJECT}{fault}"))?;
            }
        }
        let first = rows.partition_point(|row| row.id <= self.last);
        rows.rotate_left(first);
        for row in rows {
            if on.busy.lock().contains(&row.id) {
                continue;
            }
            let Some(running) = self.running(row.id) else { continue };
            self.last = row.id;
            let on = on.clone();
            let work = move || {
                let _running = running;
                on.work(row);
            };
            if let Err(error) = thread::Builder::new().name("worker".to_owned()).spawn(work) {
                tracing::warn!(%error, "cannot begin a worker");
            }
        }
        Ok(())
    }

    /// How many run.
    #[cfg(test)]
    pub fn run_now(&self) -> usize {
        self.running.lock().len()
    }

    /// A place for a source's worker, if there is one and its last has ended.
    fn running(&self, source: u64) -> Option<Running> {
        let mut all = self.running.lock();
        let is_free = all.len() < AT_ONCE_MAX && all.insert(source);
        is_free.then(|| Running { all: self.running.clone(), source })
    }
}

fn works(on: &Virtualization, source: &Source) -> bool {
    let has_worker = || on.packages.package(&source.plugin).is_ok_and(|found| found.has(Operation::LinkedWorker));
    // The SDK gives it a staged source, so that a DIRECT plugin's could only fail.
    source.kind == Kind::Staged && source.is_made && source.is_enabled && has_worker()
}

impl Virtualization {
    /// Runs the worker of a source, whose failure is a fault until one succeeds.
    fn work(&self, row: Row<Source>) {
        let (id, subject) = (row.id, format!("{SUBJECT}{}", row.record.name));
        let is_wanted = || self.busy.lock().contains(&id);
        let outcome =
            self.aside(row, &is_wanted, |run| run.call(Call::LinkedWorker(run.linked(&run.source.mounts)?)).map(drop));
        let told = match outcome {
            _ if is_wanted() => Ok(()),
            Ok(()) => self.mend(&subject),
            Err(problem) => self.fault(&subject, &problem),
        };
        if let Err(problem) = told {
            tracing::error!(subject, %problem, "cannot write down how a worker ended");
        }
    }
}
