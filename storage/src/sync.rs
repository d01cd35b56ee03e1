//! What threads share: locks, atomics and cells.
//!
//! Invariant: the rest of this crate takes them from here (`tests/architecture.rs` sees to it), so that with `--cfg cow_shuttle` every
//! place where threads may meet is one where shuttle may switch from one to another, in an order that it can repeat.
//! Without it these are names for what others made, and cost nothing.
//!
//! `Arc` needs no such place: counting is all that it does.

#[cfg(cow_shuttle)]
mod shuttled;

#[cfg(not(cow_shuttle))]
mod plain {
    pub use std::sync::OnceLock;
    pub use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

    pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
}

#[cfg(not(cow_shuttle))]
pub use plain::*;
#[cfg(cow_shuttle)]
pub use shuttled::*;
pub use std::sync::atomic::Ordering;
