//! At which level a batch's extents are compressed: by what a sample of them saves, where writers wait.
//!
//! A processor compresses a few hundred megabytes a second at level 1, which a disk outruns. That pays where little is left to
//! write. Where it is not, and somebody waits, a faster level lets the disk set the pace; cleaning compresses again what stays.

use crate::extent::Sealed;

/// The level that gives way; who asked for another one gets it.
const GIVES_WAY: i8 = 1;
/// The level under pressure: about twice as fast as level 1.
const FAST: i8 = -5;
/// One extent of so many is compressed as the dataset has it, and tells what that saves.
pub const SAMPLE_STEP: usize = 16;

/// Whether extents should be sampled at all.
pub fn may_give_way(level: Option<i8>, hurried: bool) -> bool {
    hurried && level == Some(GIVES_WAY)
}

/// The level for the extents beside a sample, of so many plain bytes: the same where it saves a third of them.
pub fn beside<'a>(sample: impl IntoIterator<Item = &'a Sealed>, plain_len: usize) -> i8 {
    let stored_len: usize = sample.into_iter().map(|sealed| sealed.stored_len()).sum();
    if stored_len * 3 <= plain_len * 2 { GIVES_WAY } else { FAST }
}
