//! Writes metrics as Prometheus reads them (text format 0.0.4).
//!
//! Invariant: names are `cow_` or `process_` and base units; `_total` ends counters and nothing else. A
//! name's samples stand together under one HELP and one TYPE.

use std::fmt::Write;

use parking_lot::Mutex;

/// The media type of a [`Page`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Default)]
pub struct Page {
    text: String,
}

/// Labels of a sample: names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A histogram's counts: for each bucket its upper bound and how many were at most that, then all and their sum.
pub struct Histogram {
    /// Upper bounds, growing, and how many were at most that.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Page {
    /// What only grows. `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Into<Number>) {
        self.counters(name, help, [(&[] as Labels<'_>, value)]);
    }

    /// Counters of one name with labels.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, impl Into<Number>)>,
    ) {
        assert!(name.ends_with("_total"), "the counter {name} does not say so");
        self.family(name, help, "counter");
        samples.into_iter().for_each(|(labels, value)| self.sample(name, labels, value.into()));
    }

    /// What goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Into<Number>) {
        self.gauges(name, help, [(&[] as Labels<'_>, value)]);
    }

    /// Gauges of one name with labels.
    pub fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, impl Into<Number>)>,
    ) {
        assert!(!name.ends_with("_total"), "the gauge {name} calls itself a counter");
        self.family(name, help, "gauge");
        samples.into_iter().for_each(|(labels, value)| self.sample(name, labels, value.into()));
    }

    /// Histograms of one name with labels.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, Histogram)>,
    ) {
        assert!(!name.ends_with("_total"), "the histogram {name} calls itself a counter");
        self.family(name, help, "histogram");
        for (labels, histogram) in samples {
            let bucket = format!("{name}_bucket");
            for (bound, count) in &histogram.buckets {
                self.sample(&bucket, &[labels, &[("le", &bound.to_string())]].concat(), (*count).into());
            }
            self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), histogram.count.into());
            self.sample(&format!("{name}_sum"), labels, histogram.sum.into());
            self.sample(&format!("{name}_count"), labels, histogram.count.into());
        }
    }

    /// All of it.
    pub fn into_text(self) -> String {
        self.text
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: Number) {
        self.text += name;
        for (at, (label, content)) in labels.iter().enumerate() {
            let content = content.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{content}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = match value {
            Number::Whole(value) => writeln!(self.text, "{end} {value}"),
            Number::Real(value) => writeln!(self.text, "{end} {value}"),
        };
    }
}

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count or bytes.
    Whole(u64),
    /// Seconds or a ratio.
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// Something that has metrics to tell.
pub type Source = Box<dyn Fn(&mut Page) + Send + Sync>;

/// Everything that has metrics to tell.
#[derive(Default)]
pub struct Registry {
    sources: Mutex<Vec<Source>>,
}

impl Registry {
    /// Adds a source; it is asked at every page.
    pub fn add(&self, source: Source) {
        self.sources.lock().push(source);
    }

    /// The present page.
    pub fn page(&self) -> Page {
        let mut page = Page::default();
        self.sources.lock().iter().for_each(|source| source(&mut page));
        page
    }
}

/// What the system says of this process.
pub fn process(page: &mut Page) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    if let Some(kibibytes) = resident {
        let help = "Memory that the daemon takes of the host.";
        page.gauge("process_resident_memory_bytes", help, u64::saturating_mul(kibibytes, 1024));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open files and sockets.", open.count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_as_prometheus_reads_them() {
        let registry = Registry::default();
        registry.add(Box::new(|page| page.counter("cow_commits_total", "Commits.", 3)));
        registry.add(Box::new(|page| {
            let labels: Labels<'_> = &[("kind", "a\"b\\c\nd"), ("state", "done")];
            page.gauges("cow_jobs", "Jobs\nnow.", [(labels, 1.5)]);
            let histogram = Histogram { buckets: vec![(0.5, 1), (1.0, 2)], count: 3, sum: 2.25 };
            page.histograms("cow_seconds", "Time.", [(&[("of", "x")] as Labels<'_>, histogram)]);
        }));
        let expected = "\
# HELP cow_commits_total Commits.
# TYPE cow_commits_total counter
cow_commits_total 3
# HELP cow_jobs Jobs\\nnow.
# TYPE cow_jobs gauge
cow_jobs{kind=\"a\\\"b\\\\c\\nd\",state=\"done\"} 1.5
# HELP cow_seconds Time.
# TYPE cow_seconds histogram
cow_seconds_bucket{of=\"x\",le=\"0.5\"} 1
cow_seconds_bucket{of=\"x\",le=\"1\"} 2
cow_seconds_bucket{of=\"x\",le=\"+Inf\"} 3
cow_seconds_sum{of=\"x\"} 2.25
cow_seconds_count{of=\"x\"} 3
";
        assert_eq!(registry.page().into_text(), expected);
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let mut page = Page::default();
        process(&mut page);
        let text = page.into_text();
        assert!(text.contains("\nprocess_resident_memory_bytes ") && text.contains("\nprocess_open_fds "), "{text}");
    }
}
