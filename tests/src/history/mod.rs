//! Random histories of a whole pool on a simulated disk, beside plain models, with a crash at any moment.
//!
//! Invariant: a seed decides everything that happens, so what failed once fails again. Each step draws from the seed and its
//! own number, so a history that fails is made shorter by leaving steps out: see [`Program`].
//!
//! A history is a sequence of steps: calls of file systems, verbs, commits, background steps, and every now and then an end
//! of the process or of the power, or a disk that fails once. Each answer must be the model's. After a reopen, the
//! pool must be in a state that what it promised allows: see [`Journal`].

mod background;
mod call;
mod data;
mod deed;
mod draw;
mod failing;
mod figures;
mod finds;
mod interlude;
mod interrupted;
mod journal;
mod made;
mod outcome;
mod pools;
mod program;
mod run;
mod steps;
mod swarm;
pub(crate) mod tree;
mod verb;
mod verbs;
mod world;

use call::{Answer, Call};
use data::Data;
use draw::Draw;
use finds::Finds;
use journal::{Effect, Event, InFlight, Journal};
use made::Made;
use tree::Tree;
use verb::{Verb, VerbAnswer};
use world::{Dataset, Fate, Snapshot, World};

pub use figures::Figures;
pub use outcome::{Failure, replay, run};
pub use program::Program;
