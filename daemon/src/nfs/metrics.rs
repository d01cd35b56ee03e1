//! What the server tells to Prometheus.

use crate::metrics::{Histogram, Labels, Page};
use crate::nfs::{BUCKETS, Counters, ProcedureCounters};

impl Counters {
    /// Tells it all. Procedures that were never called are left out.
    pub fn publish(&self, page: &mut Page) {
        for (name, help, value) in [
            ("cow_nfs_received_bytes_total", "Bytes of records received.", self.received_bytes),
            ("cow_nfs_sent_bytes_total", "Bytes of replies sent.", self.sent_bytes),
            ("cow_nfs_replayed_total", "Calls answered from kept replies.", self.replayed),
            ("cow_nfs_dropped_total", "Calls dropped because the same one was being run.", self.dropped),
            ("cow_nfs_garbage_total", "Records that could not be decoded.", self.garbage),
            ("cow_nfs_refused_total", "Calls of unknown procedures or credentials.", self.refused),
            ("cow_nfs_panics_total", "Calls that met a mistake in the server.", self.panics),
            ("cow_nfs_accepted_total", "Connections taken.", self.accepted),
            ("cow_nfs_turned_away_total", "Connections turned away.", self.turned_away),
            ("cow_nfs_stalled_total", "Connections ended because the peer stalled.", self.stalled),
        ] {
            page.counter(name, help, value);
        }
        page.gauge("cow_nfs_connections", "Connections.", self.connections);
        page.gauge("cow_nfs_buffer_bytes", "Bytes of large buffers in use.", self.buffer_bytes);
        self.publish_procedures(page);
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
