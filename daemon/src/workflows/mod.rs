//! Recipes: which steps make up a long piece of work, and what is left when it stops half-way.
//!
//! Invariant: a recipe that returns an error says what it left behind, and knows nothing of HTTP or jobs: it is told
//! to stop by the answer of its progress function.

mod error;
mod export;
mod host;
mod import;
mod paths;
mod queue;
mod run;

pub use error::Error;
pub use export::{ExportOptions, ExportReport, export};
pub use import::{ImportOptions, ImportReport, import};
pub use paths::{Paths, Problem, Problems};
pub use run::{Copied, Progress};
