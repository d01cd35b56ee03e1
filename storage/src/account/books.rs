//! What only commits change: usage, the stored log, and the segments that wait to be unlinked.

use std::collections::BTreeSet;

use crate::account::log::Log;
use crate::account::radix::Root;
use crate::account::usage::Usage;
use crate::format::{Birth, SegmentId};

/// Held by one committer at a time.
#[derive(Default)]
pub struct Books {
    pub usage: Usage,
    pub usage_root: Root,
    pub log: Log,
    /// Segments without live bytes, and the commit that found them so.
    pub retired: Vec<(Birth, SegmentId)>,
    /// The commit that was opened: what it found dead, and what those before it did, is not known.
    pub opened: Birth,
    /// Slot pages that the next commit writes anew, changed or not.
    pub rewrite: BTreeSet<u64>,
    /// Whether the next commit writes the whole log anew.
    pub rewrite_log: bool,
    /// Whether commits fold all that they may, until nothing is left.
    pub hurry: bool,
}

impl Books {
    /// Live bytes, and bytes given back to the host.
    pub fn figures(&self) -> (u64, u64) {
        (self.usage.live_total(), self.usage.punched_total())
    }
}
