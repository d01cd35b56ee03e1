//! All decoders of what is on disk, for fuzzers: the only way into codecs that are private otherwise.

use crate::{account, catalog, dedup, extent, fs, intent, pool, scrub, superblock, tree};

pub use crate::format::Target;

/// The decoders, in no particular order.
pub fn targets() -> Vec<Target> {
    let all: [&[Target]; 10] = [
        &superblock::fuzz::TARGETS,
        &pool::fuzz::TARGETS,
        &account::fuzz::TARGETS,
        &extent::fuzz::TARGETS,
        &tree::fuzz::TARGETS,
        &intent::fuzz::TARGETS,
        &dedup::fuzz::TARGETS,
        &catalog::fuzz::TARGETS,
        &fs::fuzz::TARGETS,
        &scrub::TARGETS,
    ];
    all.concat()
}
