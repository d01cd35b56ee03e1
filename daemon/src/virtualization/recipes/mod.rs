//! The workflows, one file each: which steps, and how each is undone.
//!
//! Invariant: a recipe changes the state only in its commit; before it, whatever it does outside is promised to be
//! undone, and after it, what is left is written down.

mod delete;
mod enable;
mod link;
mod physical;
mod power;
mod provision;
mod replace;
mod retain;
mod snapshot;
mod sync;

pub use delete::delete;
pub use enable::{disable, enable};
pub use link::link;
pub use physical::physical;
pub use power::{start, stop};
pub use provision::provision;
pub use replace::{refresh, rewind};
pub use retain::retain;
pub use snapshot::snapshot;
pub use sync::sync;
