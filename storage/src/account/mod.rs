//! Where extents and nodes lie, which of their blocks live, and how full each segment is.
//!
//! Invariants: a slot, once recorded, is found under its id until all its blocks were freed by
//! commits that no reader looks behind; a segment's usage is exactly what live slots and current
//! pages take of it; nothing of the last durable commit is unlinked. Pages never change in place:
//! each commit writes new ones, so either of the last two states opens whole.

mod books;
mod commit;
mod ending;
mod front;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod inspect;
mod ledger;
mod link;
mod log;
mod open;
mod pages;
mod punch;
mod radix;
mod scan;
mod slots;
mod state;
#[cfg(test)]
mod tests;
mod usage;
mod view;
mod written;

pub use ending::Mark;
pub use front::{Account, AccountOptions, NODE_LEN};
pub use inspect::{AccountTotals, Recorded, References};
pub use punch::GivenBack;
pub use scan::Found;
pub use slots::{Slot, SlotKind, first_of_page};
pub use state::AccountState;
pub use usage::SegmentUsage;
pub use view::{AccountView, LostPages, PageRef, PendingChanges, ReferenceChange};
