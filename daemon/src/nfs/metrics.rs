//! What the server tells to Prometheus.

use crate::metrics::{Histogram, Labels, Page};
use crate::nfs::{BUCKETS, Counters, ProcedureCounters, Totals};

impl Counters {
    /// Tells it all. Procedures that were never called are left out.
    pub fn publish(&self, page: &mut Page) {
        for (name, help, value) in [
            ("cow_nfs_received_bytes_total", "Bytes of records received.", self.received_bytes),
            ("cow_nfs_sent_bytes_total", "Bytes of replies sent.", self.sent_bytes),
            ("cow_nfs_replayed_total", "Calls answered from kept replies.", self.replayed),
            ("cow_nfs_dropped_total", "Calls dropped because the same one was being run.", self.dropped),
            ("cow_nfs_panics_total", "Calls that met a mistake in the server.", self.panics),
            ("cow_nfs_accepted_total", "Connections taken.", self.accepted),
            ("cow_nfs_turned_away_total", "Connections turned away.", self.turned_away),
            ("cow_nfs_lock_grants_total", "Clients called as a lock that they waited for was theirs.", self.grants),
            ("cow_nfs_lock_grants_lost_total", "Those of them that were gone.", self.grants_lost),
            ("cow_nfs_stalled_total", "Connections ended because the peer stalled.", self.stalled),
        ] {
            page.counter(name, help, value);
        }
        page.gauge("cow_nfs_connections", "Connections.", self.connections);
        page.gauge("cow_nfs_buffer_bytes", "Bytes of large buffers in use.", self.buffer_bytes);
        let reasons: Vec<([(&str, &str); 1], u64)> =
            self.refused.iter().map(|(reason, count)| ([("reason", *reason)], *count)).collect();
        let reasons = reasons.iter().map(|(labels, count)| (labels as Labels<'_>, *count));
        page.counters("cow_nfs_refused_total", "Records and calls that were refused, by reason.", reasons);
        self.publish_procedures(page);
        publish_traffic(page, "share", &self.traffic.shares);
        publish_traffic(page, "client", &self.traffic.clients);
    }

    fn publish_procedures(&self, page: &mut Page) {
        let called: Vec<(&ProcedureCounters, [(&str, &str); 2])> = self
            .procedures
            .iter()
            .filter(|procedure| procedure.calls > 0)
            .map(|procedure| (procedure, [("program", procedure.program), ("procedure", procedure.procedure)]))
            .collect();
        let calls = called.iter().map(|(procedure, labels)| (labels as Labels<'_>, procedure.calls));
        page.counters("cow_nfs_calls_total", "Calls.", calls);
        let errors = called.iter().map(|(procedure, labels)| (labels as Labels<'_>, procedure.errors));
        page.counters("cow_nfs_call_errors_total", "Calls answered with an error.", errors);
        let times = called.iter().map(|(procedure, labels)| (labels as Labels<'_>, histogram(procedure)));
        page.histograms("cow_nfs_call_seconds", "Time that calls took.", times);
    }
}

/// Tells what was done with each share, or by each client. `of` says which, and begins the names.
fn publish_traffic(page: &mut Page, of: &str, traffic: &[(String, Totals)]) {
    type Figure = (&'static str, &'static str, fn(&Totals) -> u64);
    let figures: [Figure; 6] = [
        ("calls", "Calls.", |totals| totals.calls),
        ("errors", "Calls answered with an error.", |totals| totals.errors),
        ("refused", "Calls that the share's rules did not admit.", |totals| totals.refused),
        ("replayed", "Calls answered from kept replies.", |totals| totals.replayed),
        ("read_bytes", "Bytes of files that READ returned.", |totals| totals.read_bytes),
        ("written_bytes", "Bytes of files that WRITE brought.", |totals| totals.written_bytes),
    ];
    let labels: Vec<[(&str, &str); 1]> = traffic.iter().map(|(name, _)| [(of, name.as_str())]).collect();
    for (figure, help, value) in figures {
        let samples = labels.iter().zip(traffic).map(|(labels, (_, totals))| (labels as Labels<'_>, value(totals)));
        page.counters(&format!("cow_nfs_{of}_{figure}_total"), help, samples);
    }
}

fn histogram(procedure: &ProcedureCounters) -> Histogram {
    let mut sum = 0;
    // The last bucket has no bound: it is in the count alone.
    let buckets = procedure.histogram[..BUCKETS - 1].iter().enumerate().map(|(bucket, count)| {
        sum += count;
        ((8_u64 << bucket) as f64 / 1e6, sum)
    });
    let buckets = buckets.collect();
    Histogram { buckets, count: procedure.histogram.iter().sum(), sum: procedure.micros as f64 / 1e6 }
}
