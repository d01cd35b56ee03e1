//! A small pool that has one of everything, and a manifest of what can be read from it.
//!
//! Invariant: made anew by the same build, it is the same to the byte.

mod build;
mod manifest;

pub use build::{at, build, open};
pub use manifest::{manifest, survey};
