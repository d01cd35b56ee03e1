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
    /// Slot pages that the next commit writes anew, changed or not.
    pub rewrite: BTreeSet<u64>,
    /// Whether the next commit writes the whole log anew.
    pub rewrite_log: bool,
    /// Whether the next commit folds all that it may.
    pub hurry: bool,
}
