//! The decoders of the catalog's items, for fuzzers.

use crate::catalog::{chunk, codec};
use crate::format::Target;

pub(crate) const TARGETS: [Target; 6] = [
    Target::new("dataset", |bytes| Some(codec::encode_dataset(&codec::decode_dataset(bytes).ok()?))),
    Target::new("snapshot", |bytes| Some(codec::encode_snapshot(&codec::decode_snapshot(bytes).ok()?))),
    Target::new("reclaim-job", |bytes| Some(codec::encode_job(&codec::decode_job(bytes).ok()?))),
    Target::new("catalog-counters", |bytes| {
        let (id, list) = codec::decode_counters(bytes).ok()?;
        Some(codec::encode_counters(id, list))
    }),
    Target::new("catalog-texts", |bytes| Some(codec::encode_texts(codec::decode_texts(bytes).ok()?.iter()))),
    Target::new("dead-list-chunk", |bytes| {
        let mut chunks = chunk::encode(&chunk::decode(bytes).ok()?);
        // A chunk that is longer than any comes back in pieces; an empty one not at all.
        if chunks.len() == 1 { chunks.pop() } else { None }
    }),
];
