//! Datasets and snapshots mounted on this host, through the kernel's FUSE.
//!
//! A request's way: `dispatch` is called by one of a `session`'s threads, a file of `volume`'s (`names`,
//! `content`, `listing`, `settings`, `xattrs`, `locking`) does it with the view's file system, and `dispatch` answers.
//! `table` keeps the mounts, `record` remembers them over restarts, `host` has the system calls, `roll` sees threads die.
//!
//! Invariant: what a program is told to be durable is so after fsync, as on a disk; what is changed elsewhere is
//! seen after [`LIFETIME`] at most, and an opened file is as it is then.

mod agreement;
mod answers;
mod attributes;
mod caller;
mod content;
mod counters;
mod dispatch;
mod failure;
mod host;
mod keeper;
mod listing;
mod locking;
mod metrics;
mod names;
mod nodes;
mod record;
mod roll;
mod session;
mod settings;
mod table;
mod volume;
mod xattrs;

pub use table::Mounts;
pub use volume::LIFETIME;
