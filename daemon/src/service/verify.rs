//! Verify: everything that is reachable is read and checked, as a job.

use cow_api::v1::{Job, JobKind, JobReport, Verify};

use crate::service::convert::shown_report;
use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// Begins to verify a dataset, a snapshot or the whole pool. Damage is in the job's report and no failure of it.
    pub fn verify(&self, request: &Verify) -> Answer<Job> {
        if let Some(of) = &request.of {
            self.check_exists(of)?;
        }
        let (pool, of) = (self.pool().clone(), request.of.clone());
        let subject = of.clone().unwrap_or_else(|| "the whole pool".to_owned());
        let work = move |ticket: &crate::jobs::Ticket| {
            let outcome = pool.verify(of.as_deref(), &mut |done, total| ticket.progress(done, Some(total)));
            if ticket.is_cancelled() {
                return Err(ticket.cancelled());
            }
            let report = outcome.map_err(problem)?;
            if !report.damage.is_empty() {
                tracing::error!(damaged = report.damage.len() as u64, "verification found damage");
            }
            Ok(JobReport::Verify(shown_report(report)))
        };
        self.parts.jobs.start(JobKind::Verify, &subject, Box::new(work))
    }

    /// Fails unless a dataset or snapshot of that name exists.
    pub(super) fn check_exists(&self, name: &str) -> Answer<()> {
        if name.contains('@') {
            self.pool().snapshot_info(name).map(drop).map_err(problem)
        } else {
            self.pool().dataset(name).map(drop).map_err(problem)
        }
    }
}
