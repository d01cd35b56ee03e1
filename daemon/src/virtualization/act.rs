//! Acts that set the world right: what undoes a step, or finishes one.
//!
//! Invariant: doing an act again changes nothing more, and an act names all it needs, so that a later daemon can do it.

use std::net::IpAddr;
use std::path::PathBuf;

use cow_api::v1::{Code, JobLevel};
use serde::{Deserialize, Serialize};

use crate::plugins::{Call, Operation};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::records::{HookPoint, Mounted, Sealed, Source};
use crate::virtualization::run::{Job, Run};
use crate::virtualization::work::forget;

/// An act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Act {
    /// Destroys a dataset with all below it, or a snapshot.
    Destroy {
        /// Its name.
        name: String,
    },
    /// Lets only these hosts mount a dataset.
    Share {
        /// The dataset.
        dataset: String,
        /// The hosts.
        hosts: Vec<IpAddr>,
        /// Whether their root is nobody.
        root_squash: bool,
    },
    /// Mounts on a host.
    Mount {
        /// Where.
        mounted: Mounted,
        /// The dataset.
        dataset: String,
    },
    /// Unmounts from a host.
    Unmount {
        /// Where.
        mounted: Mounted,
        /// The dataset.
        dataset: String,
    },
    /// Unmounts from the engine's own host.
    UnmountHere {
        /// Where.
        path: PathBuf,
    },
    /// Has the plugin put a source that was shut down in use again.
    Revive {
        /// The source.
        source: u64,
    },
    /// Has the plugin start a VDB that was being stopped.
    Start {
        /// The source.
        source: u64,
    },
    /// Has the plugin stop a VDB that was being started.
    Stop {
        /// The source.
        source: u64,
    },
    /// Has the plugin shut down what it had put in use, as it was then.
    ShutDown {
        /// The source.
        source: u64,
        /// Where it was mounted.
        mounts: Vec<Mounted>,
        /// What `configure` had answered.
        config: Option<Sealed>,
        /// Whether nobody knows if it was in use at all: then it is no matter if the plugin cannot.
        is_try: bool,
    },
    /// Runs hooks that run whatever happened.
    Hooks {
        /// The source.
        source: u64,
        /// Their point.
        at: HookPoint,
    },
    /// Nothing: says that the job was done.
    Nothing,
    /// Forgets a source that never came to be.
    Forget {
        /// The source.
        source: u64,
    },
}

impl Act {
    /// What it does, for a job's log.
    pub fn describe(&self) -> String {
        match self {
            Self::Destroy { name } => format!("destroy {name}"),
            Self::Share { dataset, hosts, .. } if hosts.is_empty() => format!("share {dataset} with nobody"),
            Self::Share { dataset, hosts, .. } => format!("share {dataset} with {} hosts", hosts.len()),
            Self::Mount { mounted, dataset } => format!("mount {dataset} at {}", mounted.path),
            Self::Unmount { mounted, dataset } => format!("unmount {dataset} from {}", mounted.path),
            Self::UnmountHere { path } => format!("unmount {} from this host", path.display()),
            Self::Revive { .. } => "put it in use again".to_owned(),
            Self::Start { .. } => "start it again".to_owned(),
            Self::Stop { .. } => "stop it again".to_owned(),
            Self::ShutDown { .. } => "shut it down again".to_owned(),
            Self::Hooks { at, .. } => format!("run its {} hooks", at.as_str()),
            Self::Nothing => "nothing".to_owned(),
            Self::Forget { .. } => "forget it".to_owned(),
        }
    }
}

impl Virtualization {
    /// Does an act for a job.
    pub(super) fn perform(&self, act: &Act, job: &Job<'_>) -> Answer<()> {
        let is_cancelled = job.is_cancelled;
        match act {
            Act::Destroy { name } => self.store.destroy(name),
            Act::Share { dataset, hosts, root_squash } => self.store.share(dataset, hosts, *root_squash),
            Act::Mount { mounted, dataset } => self.ground.mount(mounted, &mounted.export(dataset), is_cancelled),
            // Nothing can be done on a host that is known no more.
            Act::Unmount { mounted, .. } if self.is_forgotten(mounted) => Ok(()),
            Act::Unmount { mounted, dataset } => self.ground.unmount(mounted, &mounted.export(dataset), is_cancelled),
            Act::UnmountHere { path } => self.store.unmount_here(path),
            Act::Revive { source } => self.with_source(*source, |row| revive(&job.run(row)?)),
            Act::Start { source } => self.with_source(*source, |row| start(&job.run(row)?)),
            Act::Stop { source } => self.with_source(*source, |row| stop(&job.run(row)?)),
            Act::ShutDown { source, mounts, config, is_try } => self.with_source(*source, |mut row| {
                (row.record.mounts, row.record.config) = (mounts.clone(), config.clone());
                let outcome = shut_down(&job.run(row)?);
                match outcome {
                    Err(problem) if *is_try => job.ticket.note(JobLevel::Error, problem.detail),
                    outcome => return outcome,
                }
                Ok(())
            }),
            Act::Hooks { source, at } => self.with_source(*source, |row| job.run(row)?.hook_owed(*at)),
            Act::Nothing => Ok(()),
            Act::Forget { source } => self.state.write(|edit| forget(edit, *source)),
        }
    }

    fn is_forgotten(&self, mounted: &Mounted) -> bool {
        self.ground.name(mounted.place.environment).is_err_and(|problem| problem.code == Code::NotFound)
    }

    /// Does something with a source, if it is still there.
    fn with_source(&self, id: u64, work: impl FnOnce(Row<Source>) -> Answer<()>) -> Answer<()> {
        match self.state.read(|view| Ok(view.all::<Source>()?.into_iter().find(|row| row.id == id)))? {
            Some(row) => work(row),
            None => Ok(()),
        }
    }
}

fn revive(run: &Run<'_>) -> Answer<()> {
    if !run.source.is_virtual() {
        return run
            .call_if(Operation::LinkedStartStaging, || Ok(Call::LinkedStartStaging(run.linked(&run.source.mounts)?)));
    }
    let snapshot = run.newest_data()?;
    run.call(Call::VirtualReconfigure { of: run.as_virtual(&run.source.mounts)?, snapshot })?;
    if run.source.is_stopped { stop(run) } else { Ok(()) }
}

fn start(run: &Run<'_>) -> Answer<()> {
    run.call_if(Operation::VirtualStart, || Ok(Call::VirtualStart(run.as_virtual(&run.source.mounts)?)))
}

fn stop(run: &Run<'_>) -> Answer<()> {
    run.call_if(Operation::VirtualStop, || Ok(Call::VirtualStop(run.as_virtual(&run.source.mounts)?)))
}

fn shut_down(run: &Run<'_>) -> Answer<()> {
    if run.source.is_virtual() {
        run.unconfigure()
    } else {
        run.call_if(Operation::LinkedStopStaging, || Ok(Call::LinkedStopStaging(run.linked(&run.source.mounts)?)))
    }
}
