//! A POSIX tree in a dataset: inodes, directories, files.
//!
//! A change is planned ([`Reader`]'s `plan_..` check it against the present state), put into a
//! [`Record`], and applied from that record ([`apply()`]). Replay after a crash decodes records and
//! applies them the same way, so whatever depends on the caller, the clock or a key is in the record.

mod apply;
mod diff;
mod directory;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod inode;
mod interface;
pub mod layout;
mod links;
mod orphans;
mod paths;
mod permission;
mod plan;
mod read;
mod record;
pub mod sanity;
mod search;
#[cfg(test)]
mod tests;
mod xattrs;

pub use apply::{Effect, Outcome, apply, make_root};
pub use diff::{Comparison, Difference, DifferenceKind};
pub use directory::Names;
pub use inode::{Inode, NamePlace};
pub use interface::*;
pub use orphans::{orphans, plan_reap};
pub use plan::Plan;
pub use read::Reader;
pub use record::{Encoded, Fate, Record, Settings};
pub use search::search_names;
