//! The decoders of the account's pages and of its state, for fuzzers.

use crate::account::AccountState;
use crate::account::log::{decode_chunk, decode_head, encode_chunks, encode_head};
use crate::account::radix::Node;
use crate::account::slots::SlotPage;
use crate::account::usage::Usage;
use crate::format::{Birth, Checksum, Decoder, Encoder, Target};

pub(crate) const TARGETS: [Target; 6] = [
    Target::new("account-state", |bytes| {
        let mut from = Decoder::new(bytes);
        let state = AccountState::decode(&mut from).ok().filter(|_| from.rest().is_empty())?;
        let mut out = Encoder::default();
        state.encode(&mut out);
        assert!(out.bytes.len() <= AccountState::ENCODED_LEN_MAX, "a state that is longer than any");
        Some(out.bytes)
    }),
    page("radix-node", |bytes| {
        let key = (*bytes.get(6)?, Decoder::new(bytes.get(8..)?).u48().ok()?);
        let mut again = Node::decode(bytes, key).ok()?.encode(key);
        // Zeros may follow.
        again.resize(bytes.len().max(again.len()), 0);
        Some(again)
    }),
    page("slot-page", |bytes| {
        let number = Decoder::new(bytes.get(8..)?).u48().ok()?;
        Some(SlotPage::decode(bytes, number).ok()?.encode())
    }),
    page("usage-page", |bytes| {
        let number = Decoder::new(bytes.get(8..)?).u64().ok()?;
        let mut usage = Usage::default();
        usage.decode_page(bytes, number).ok()?;
        Some(usage.encode_page(number))
    }),
    page("free-log-list", |bytes| Some(encode_head(&decode_head(bytes).ok()?))),
    page("free-log-chunk", |bytes| {
        let newest = Birth(Decoder::new(bytes.get(8..)?).u48().ok()?);
        let entries = decode_chunk(bytes).ok()?;
        let mut chunks = encode_chunks(entries.into_iter(), newest);
        // A chunk that is longer than any comes back in pieces; an empty one not at all.
        if chunks.len() == 1 { chunks.pop().map(|(chunk, _)| chunk) } else { None }
    }),
];

/// A page is proven by the link that leads to it.
const fn page(name: &'static str, again: fn(&[u8]) -> Option<Vec<u8>>) -> Target {
    Target::new(name, again).named_by(|bytes| Some(Checksum::of(bytes)))
}
