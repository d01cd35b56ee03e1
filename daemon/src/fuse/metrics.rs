//! What mounts tell to Prometheus.

use std::sync::atomic::Ordering;

use crate::fuse::counters::{BUCKETS, Counted, Counting};
use crate::metrics::{Histogram, Labels, Page};

/// Tells it all. Kinds of requests that never came are left out.
pub fn publish(counting: &Counting, mounts: u64, open_files: u64, page: &mut Page) {
    page.gauge("cow_mounts", "Mounts on this host that serve.", mounts);
    page.gauge("cow_mount_open_files", "Files and directories open in them.", open_files);
    for (name, help, value) in [
        ("cow_mount_read_bytes_total", "Bytes that programs read.", &counting.read_bytes),
        ("cow_mount_written_bytes_total", "Bytes that programs wrote.", &counting.written_bytes),
        ("cow_mount_panics_total", "Requests that met a mistake in the daemon.", &counting.panics),
    ] {
        page.counter(name, help, value.load(Ordering::Relaxed));
    }
    let called: Vec<_> = counting.called().map(|(name, counted)| ([("operation", name)], counted)).collect();
    let calls = called.iter().map(|(labels, counted)| (labels as Labels<'_>, counted.calls()));
    page.counters("cow_mount_requests_total", "Requests of the kernel.", calls);
    let errors = called.iter().map(|(labels, counted)| (labels as Labels<'_>, counted.errors()));
    page.counters("cow_mount_request_errors_total", "Requests answered with an error.", errors);
    let times = called.iter().map(|(labels, counted)| (labels as Labels<'_>, histogram(counted)));
    page.histograms("cow_mount_request_seconds", "Time that requests took.", times);
}

fn histogram(counted: &Counted) -> Histogram {
    let (counts, mut sum) = (counted.histogram(), 0);
    // The last bucket has no bound: it is in the count alone.
    let buckets = counts[..BUCKETS - 1].iter().enumerate().map(|(bucket, count)| {
        sum += count;
        ((8_u64 << bucket) as f64 / 1e6, sum)
    });
    let buckets = buckets.collect();
    Histogram { buckets, count: counts.iter().sum(), sum: counted.micros() as f64 / 1e6 }
}
