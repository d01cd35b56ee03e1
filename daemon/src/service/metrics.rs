//! What the pool and the jobs tell to Prometheus.

use cow_api::v1::{JobKind, JobState};

use crate::metrics::{Labels, Page};
use crate::service::Service;

impl Service {
    /// Tells what the pool and the jobs have done, and what there is.
    pub fn pool_metrics(&self, page: &mut Page) {
        let version = env!("CARGO_PKG_VERSION");
        page.gauges("cow_build_info", "The daemon's version.", [(&[("version", version)] as Labels<'_>, 1)]);
        let started = self.started.seconds as f64 + f64::from(self.started.nanoseconds) / 1e9;
        page.gauge("cow_start_time_seconds", "When the daemon began to serve, since 1970.", started);
        let counters = self.pool().counters();
        for (name, help, value) in [
            ("cow_commits_total", "Commits.", counters.commits),
            ("cow_log_flushes_total", "Flushes of the intent log.", counters.log_flushes),
            ("cow_log_bytes_total", "Bytes written to the intent log.", counters.log_bytes),
            ("cow_segment_bytes_total", "Bytes written to segments.", counters.segment_bytes),
            ("cow_written_bytes_total", "Plain bytes that writes brought.", counters.written_bytes),
            ("cow_read_bytes_total", "Plain bytes that reads returned.", counters.read_bytes),
            ("cow_deduplicated_bytes_total", "Plain bytes found stored already.", counters.deduplicated_bytes),
            ("cow_block_hits_total", "Blocks found in memory.", counters.block_hits),
            ("cow_block_misses_total", "Blocks read from disk.", counters.block_misses),
            ("cow_node_hits_total", "Tree nodes found in memory.", counters.node_hits),
            ("cow_node_misses_total", "Tree nodes read from disk.", counters.node_misses),
        ] {
            page.counter(name, help, value);
        }
        self.space_metrics(page);
        self.job_metrics(page);
    }

    fn space_metrics(&self, page: &mut Page) {
        if let Ok(space) = self.pool().space() {
            for (name, help, value) in [
                ("cow_pool_logical_bytes", "Logical bytes that datasets refer to.", space.logical),
                ("cow_pool_live_bytes", "Stored bytes that something refers to.", space.live),
                ("cow_pool_stored_bytes", "Bytes that the pool's files take.", space.stored),
                ("cow_pool_free_bytes", "Bytes that the host still has for the pool.", space.free),
                ("cow_pool_awaiting_bytes", "Stored bytes of what can be undeleted.", space.awaiting),
            ] {
                page.gauge(name, help, value);
            }
        }
        let backlog = self.pool().backlog();
        for (name, help, value) in [
            ("cow_backlog_reclaims", "Purged datasets and snapshots whose space is not free yet.", backlog.reclaims),
            ("cow_backlog_hidden", "Purged snapshots that stay, for several share with them.", backlog.hidden),
            ("cow_backlog_changes", "Changed counts that wait for their place.", backlog.changes),
            ("cow_backlog_sparse_bytes", "Dead bytes in segments worth cleaning.", backlog.sparse),
        ] {
            page.gauge(name, help, value);
        }
        if let Ok(listing) = self.pool().list() {
            page.gauge("cow_datasets", "Datasets.", listing.datasets.len() as u64);
            page.gauge("cow_snapshots", "Snapshots.", listing.snapshots.len() as u64);
        }
    }

    fn job_metrics(&self, page: &mut Page) {
        page.gauge("cow_jobs_active", "Jobs that wait or run.", self.jobs().active() as u64);
        let ended = self.jobs().ended();
        let mut samples: Vec<([(&str, &str); 2], u64)> = ended
            .iter()
            .map(|((kind, state), count)| ([("kind", JobKind::as_str(*kind)), ("state", state_name(*state))], *count))
            .collect();
        samples.sort_unstable();
        let samples = samples.iter().map(|(labels, count)| (labels as Labels<'_>, *count));
        page.counters("cow_jobs_ended_total", "Jobs that have ended.", samples);
    }
}

fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}
