//! The front door: open, recover, commit, hand out handles.

mod handle;
mod interface;

pub use handle::Pool;
pub use interface::*;
