//! What the benchmarks share: an engine in a scratch directory, and data to feed it.

pub mod data;
pub mod engine;
