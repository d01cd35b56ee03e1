//! Reads everything that is reachable and checks it: what a commit left on the disk, past all caches.
//!
//! Invariants: damage ends nothing, and hides no more than what it leads to; each extent is read once, in the order in
//! which extents lie; memory is bounded, for slots are looked at a window at a time.
//!
//! The slot table is cut into windows of neighbouring ids. For each window all trees are walked (nodes whose ids
//! are in it come from the disk, others as they come), and every pointer into it is counted. Then its extents are
//! read, and the counts compared with those of the account. A window takes 40 bytes for an extent or node and 16 for
//! a block, so the usual 128 MiB do for about 75 GiB in extents of four blocks, and a pool of one TiB takes some 14 walks
//! of its trees, which are one or two hundredths of it.

mod compare;
mod count;
mod extents;
mod findings;
mod lists;
mod locate;
mod pass;
mod paths;
mod report;
mod sanity;
mod stored;
mod verifier;
mod walk;
mod window;

use std::sync::Arc;

use crate::account::AccountState;
use crate::catalog::{Catalog, Holder};
use crate::error::Result;
use crate::store::Store;
use crate::tree::Root;

pub use findings::Findings;
#[cfg(feature = "fuzzing")]
pub(crate) use pass::TARGETS;
pub use pass::{LastPass, Pass, PassState, edits as pass_edits, load as load_pass};
pub use report::{Damage, VerifyReport, told};
pub use stored::{Piece, check_piece};

/// Bytes of memory for what is known of slots, as a rule.
pub const WINDOW_LEN: usize = 128 << 20;

/// What one commit left. Whoever passes it keeps that commit pinned.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Reads nodes and extents.
    pub store: &'a Arc<Store>,
    /// Datasets and snapshots.
    pub catalog: &'a Catalog,
    /// The tree that these were loaded from.
    pub system: &'a Root,
    /// Slots, counts and usage.
    pub account: &'a AccountState,
}

/// Reads and checks what a commit left, or what a dataset (its head and live snapshots) or snapshot of it reaches. Of the
/// whole, references are recounted as well. `progress` is told bytes done and bytes in all, about, and ends it by
/// returning false: then the report says what was found so far.
///
/// Fails only where going on makes no sense: what cannot be read is damage.
pub fn verify(
    scene: Scene<'_>,
    of: Option<Holder>,
    window_len: usize,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<VerifyReport> {
    verifier::Verifier::new(scene, of, window_len, progress).run()
}
