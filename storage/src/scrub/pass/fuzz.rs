//! The decoders of a pass of scrubbing, for fuzzers.

use crate::format::Target;
use crate::scrub::pass::codec;

pub(crate) const TARGETS: [Target; 2] = [
    Target::new("scrub-pass", |bytes| Some(codec::encode_pass(&codec::decode_pass(bytes).ok()?))),
    // The least that damage can be takes two bytes, and is listed a thousand times at most.
    Target::new("scrub-damage", |bytes| Some(codec::encode_damage(&codec::decode_damage(bytes).ok()?)))
        .within(512 << 10),
];
