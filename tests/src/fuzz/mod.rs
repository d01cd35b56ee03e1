//! Feeds decoders anything: a kept corpus, and seeded mutations of it.
//!
//! Invariant: the same seed feeds the same bytes, and what made a decoder fail is written down before the failure is
//! told. It is not guided by coverage; the targets are plain functions, so that a fuzzer that is can drive them too.

mod corpus;
mod dissect;
mod harvest;
mod live;
mod mutate;
mod run;
mod said;
mod whole;

use cow_storage::fuzz::Target;

pub use corpus::Corpus;
pub use dissect::{Files, Found, dissect, read_files};
pub use harvest::harvest;
pub use mutate::Mutator;
pub use run::{Budget, Finding, Memory, Tally, fuzz};
pub use said::said;

/// All targets.
pub fn targets() -> Vec<Target> {
    [cow_storage::fuzz::targets(), cowd::fuzz::targets()].concat()
}
pub use whole::{Outcome, Sealing, Specimen};
