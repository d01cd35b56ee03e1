//! The engine of cow: a copy-on-write store of datasets, snapshots and clones.
//!
//! The modules are floors, ground floor first; a paragraph of `mod` lines is one floor. A module
//! uses floors below its own, never a neighbour and never one above (`tests/architecture.rs`).

pub mod error;
mod sync;

pub mod cache;
pub mod executor;
pub mod format;
pub mod media;

pub mod extent;
pub mod intent;
pub mod segment;
pub mod superblock;

pub mod account;

pub mod dedup;

pub mod tree;

pub mod store;

pub mod catalog;
pub mod content;

pub mod fs;

pub mod reclaim;

pub mod scrub;

pub mod pool;

#[cfg(feature = "fuzzing")]
pub mod fuzz;
