//! What becomes of log events: one line each on stderr.
//!
//! Invariant: an event is one line, whatever bytes its fields have, and is written at once.

mod line;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::logging::line::line;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For the journal if that is what reads stderr, else text.
    #[default]
    Auto,
    /// Time, level, message and fields.
    Text,
    /// The same without the time, after a priority as the journal takes it: `<4>`.
    Journal,
    /// A JSON object.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "journal" => Ok(Self::Journal),
            "json" => Ok(Self::Json),
            _ => Err(format!("'{text}' is no log format: give auto, text, journal or json")),
        }
    }
}

/// Which events are logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Events of this level and above it.
    pub level: LevelFilter,
    /// How a line looks.
    pub format: Format,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: LevelFilter::INFO, format: Format::Auto }
    }
}

impl Logging {
    /// Begins to log, for as long as the process lives. A second call changes nothing.
    pub fn start(&self) {
        // systemd sets it to stderr's device and inode; that it is set at all is enough of a hint.
        let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
        let format = match self.format {
            Format::Auto if to_journal => Format::Journal,
            Format::Auto => Format::Text,
            format => format,
        };
        let lines = Lines { level: self.level, format, spans: AtomicU64::new(1) };
        let _ = tracing::subscriber::set_global_default(lines);
    }
}

/// An error and its causes in one line, for a log's field.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Lines {
    level: LevelFilter,
    format: Format,
    spans: AtomicU64,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Spans are not logged, so there is nothing to remember of them.
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        // One write a line: lines of several threads do not mix. When nobody reads them, they are lost.
        let _ = io::stderr().write_all(line(self.format, crate::clock::now(), event).as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
