//! Names for roots: datasets, snapshots, clones, and the forest of their dead lists.

mod types;

pub use types::*;
