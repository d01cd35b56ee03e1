//! All decoders of what clients and people send, for fuzzers: the only way into those that are private otherwise.

use cow_storage::fuzz::Target;

use crate::{config, control, nfs};

/// The decoders, in no particular order.
pub fn targets() -> Vec<Target> {
    let all: [&[Target]; 3] = [&nfs::fuzz::TARGETS, &control::fuzz::TARGETS, &config::fuzz::TARGETS];
    all.concat()
}
