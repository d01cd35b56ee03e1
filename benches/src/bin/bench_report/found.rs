//! What a section found, as lab/results.py writes it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A section's results, all of one run.
#[derive(Deserialize)]
pub struct Section {
    /// The word that tools/bench takes.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What was done, and how it was timed.
    pub text: String,
    /// What runs it again.
    pub command: String,
    /// The day, as YYYY-MM-DD.
    pub date: String,
    /// The commit that was measured.
    pub commit: String,
    /// Facts of the machine, each a name and a text or number.
    pub machine: BTreeMap<String, serde_json::Value>,
    /// Tables, in order.
    pub tables: Vec<Table>,
    /// Plots, in order.
    pub plots: Vec<Plot>,
    /// Goals, and how they stand.
    pub goals: Vec<Goal>,
    /// What the reader has to know besides.
    pub remarks: Vec<String>,
}

/// Rows of texts, the first of which names.
#[derive(Deserialize)]
pub struct Table {
    /// What stands above it.
    pub title: String,
    /// The headings.
    pub columns: Vec<String>,
    /// A text for each column.
    pub rows: Vec<Vec<String>>,
}

/// Lines over one axis.
#[derive(Deserialize)]
pub struct Plot {
    /// Its file's name, without the ending.
    pub name: String,
    /// What stands above it.
    pub title: String,
    /// What the axis across counts.
    pub x: String,
    /// What the axis up counts.
    pub y: String,
    /// Whether the axis across is logarithmic.
    pub log_x: bool,
    /// Whether the axis up is logarithmic.
    pub log_y: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line of a plot.
#[derive(Deserialize)]
pub struct Line {
    /// Whose it is.
    pub name: String,
    /// Its points, across and up.
    pub points: Vec<(f64, f64)>,
}

/// What was to be reached.
#[derive(Deserialize)]
pub struct Goal {
    /// The goal, in words.
    pub goal: String,
    /// What was found.
    pub found: String,
    /// Whether that is enough.
    pub met: bool,
}
