//! Import and export, as jobs: what goes wrong before they begin is answered at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cow_api::v1::{
    Code, CreateDataset, Export, Import, Job, JobKind, JobReport, NewSnapshot, Problem, TakeSnapshots, TransferReport,
};
use cow_storage::error::ErrorKind;

use crate::clock;
use crate::jobs::Ticket;
use crate::service::problem::{code, of, problem};
use crate::service::{Answer, How, Service};
use crate::workflows::{self, Copied, ExportOptions, ImportOptions, export, import};

impl Service {
    /// Begins to read a directory of the host into a dataset, which is made where there is none.
    pub fn import(&self, request: &Import) -> Answer<Job> {
        let from = absolute(&request.from)?;
        check_directory(&from)?;
        match self.pool().dataset(&request.dataset) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (name, profile, properties) =
                    (request.dataset.clone(), request.profile, request.properties.clone());
                self.create_dataset(&CreateDataset { name, profile, properties, ..CreateDataset::default() })?;
            }
            Err(error) => return Err(problem(error)),
        }
        let target = self.pool().file_system(&request.dataset).map_err(problem)?;
        let pool = self.pool().clone();
        let work = move |ticket: &Ticket| {
            let report = import(&from, &*target, &ImportOptions::default(), &|progress| told(ticket, progress));
            // What was copied is kept also when the rest failed: importing again goes on from there.
            pool.commit(clock::now()).map_err(problem)?;
            let report = report.map_err(failed)?;
            Ok(JobReport::Import(transfer_report(report.copied, report.warnings())))
        };
        let subject = format!("{} into {}", request.from, request.dataset);
        self.parts.jobs.start(JobKind::Import, &subject, Box::new(work))
    }

    /// Begins to write a dataset or snapshot out as plain files. A dataset is exported as it is now: from a snapshot,
    /// which goes when the export has ended.
    pub fn export(self: &Arc<Self>, request: &Export) -> Answer<Job> {
        let to = absolute(&request.to)?;
        self.check_exists(&request.from)?;
        let snapshot = if request.from.contains('@') { None } else { Some(self.passing_snapshot(&request.from)?) };
        let passing = Passing { service: self.clone(), snapshot };
        let source = passing.snapshot.as_deref().unwrap_or(&request.from);
        let files = self.pool().file_system(source).map_err(problem)?;
        let work = move |ticket: &Ticket| {
            let _until_the_end = passing;
            let report = export(&*files, &to, &ExportOptions::default(), &|progress| told(ticket, progress));
            let report = report.map_err(failed)?;
            Ok(JobReport::Export(transfer_report(report.copied, report.warnings())))
        };
        let subject = format!("{} to {}", request.from, request.to);
        self.parts.jobs.start(JobKind::Export, &subject, Box::new(work))
    }

    fn passing_snapshot(&self, dataset: &str) -> Answer<String> {
        let name = Some(format!("export-{}", clock::time(clock::now())));
        let snapshots = vec![NewSnapshot { dataset: dataset.to_owned(), name }];
        let taken = self.take_snapshots(&TakeSnapshots { snapshots, recursive: false })?;
        taken
            .snapshots
            .into_iter()
            .next()
            .map(|snapshot| snapshot.name)
            .ok_or_else(|| Problem::new(Code::Internal, format!("cannot export {dataset}: no snapshot of it was made")))
    }
}

/// A snapshot that goes when its use has ended, however that was.
struct Passing {
    service: Arc<Service>,
    snapshot: Option<String>,
}

impl Drop for Passing {
    fn drop(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        let how = How { at_once: true, ..How::default() };
        if let Err(problem) = self.service.destroy_snapshot(snapshot, how) {
            tracing::warn!(snapshot, %problem, "cannot destroy the snapshot that was exported");
        }
    }
}

fn told(ticket: &Ticket, progress: &workflows::Progress) -> bool {
    ticket.progress(progress.bytes_done, Some(progress.bytes_total))
}

fn transfer_report(copied: Copied, warnings: Vec<String>) -> TransferReport {
    let Copied { files, directories, others, bytes } = copied;
    TransferReport { files, directories, others, bytes, warnings }
}

/// Why a recipe did not come to its end.
fn failed(error: workflows::Error) -> Problem {
    of(error.kind().map_or(Code::Cancelled, code), &error)
}

fn absolute(path: &str) -> Answer<PathBuf> {
    let found = PathBuf::from(path);
    if found.is_absolute() {
        return Ok(found);
    }
    let problem = Problem::new(Code::InvalidRequest, format!("'{path}' is not an absolute path"));
    Err(problem.with_hint("the daemon has a working directory of its own: begin with /"))
}

/// Fails unless a directory can be listed, before a dataset is made for it.
fn check_directory(path: &Path) -> Answer<()> {
    let Err(error) = std::fs::read_dir(path) else { return Ok(()) };
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => Code::NotFound,
        std::io::ErrorKind::PermissionDenied => Code::PermissionDenied,
        std::io::ErrorKind::NotADirectory => Code::InvalidRequest,
        _ => Code::Io,
    };
    let problem = Problem::new(code, format!("cannot import {}: {error}", path.display()));
    Err(match code {
        Code::PermissionDenied => {
            problem.with_hint("cowd reads as its own user: let that one in, or see docs/daemon.md")
        }
        _ => problem,
    })
}
