//! What the benchmarks share: an engine in a scratch directory, and data to feed it.

pub mod data;
pub mod engine;
pub mod flow;

/// The daemon's own, so that what is measured is what it does.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
