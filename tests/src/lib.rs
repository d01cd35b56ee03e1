//! Helpers shared by the tests.

pub mod host_tree;
pub mod model;
pub mod postgres;
pub mod random;
pub mod scratch;
