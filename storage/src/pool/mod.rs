//! The front door: open, recover, commit, hand out handles.

mod ahead;
mod background;
mod change;
mod clean;
mod commit;
mod core;
mod cut;
mod cuts;
mod diff;
mod epoch;
mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod handle;
mod head;
mod interface;
mod open;
mod payload;
mod publish;
mod record;
mod rescue;
mod room;
mod scrub;
mod shares;
mod space;
mod sync;
#[cfg(test)]
mod tests;
mod verbs;
mod verify;
mod view;
#[cfg(test)]
mod world;

pub use crate::fs::{Difference, DifferenceKind};
pub use handle::Pool;
pub use interface::*;
pub use rescue::{PassedOver, RecoveredSuperblock};

pub use crate::scrub::{Damage, LastPass, Pass, PassState, VerifyReport};
