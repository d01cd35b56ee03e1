//! What threads share, in many orders of events.
//!
//! Built with `--cfg cow_shuttle` (`tools/threads` does), shuttle decides at each lock and each atomic access which
//! thread goes on, from a seed; it tells of deadlocks, and a failure is the same each time. Built without, the same
//! tests run on real threads, on as many processors as there are.

mod caches;
mod counts;
mod crowd;
mod epochs;
mod log;
mod orders;
mod pools;
mod registers;
mod segments;
