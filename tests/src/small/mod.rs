//! Small programs, with the power going at every operation of the disk that their last step takes.
//!
//! Invariant: everything follows from the program and a seed, so what failed once fails again.
//!
//! A program is a few steps: calls of a file system and verbs of the pool. It runs once, on a disk that is watched: at each of its operations
//! a copy of the disk is what a loss of power leaves to choose from. Each copy is crashed in several manners, the pool is
//! opened, and what it holds must be what [`Promises`] allows.

mod aged;
mod alphabet;
mod base;
mod call;
mod check;
mod crash;
mod enumerate;
mod fault;
mod promises;
mod run;
mod step;
mod torn;
mod world;

use promises::{Outcome, Promises};

pub use aged::Aged;
pub use alphabet::{alphabet, base};
pub use base::Base;
pub use call::{Call, Path};
pub use crash::{Effort, Figures, explore, explore_run};
pub use enumerate::{All, all, one, some};
pub use fault::{fail_each, fingerprints};
pub use run::{Moment, Run};
pub use step::*;
pub use world::{Found, World};
