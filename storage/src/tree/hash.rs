//! The logical hash of a node: the same in every pool, after every move.
//!
//! Invariant: it covers level, keys, values, block hashes and child hashes, and never ids, births or
//! where runs begin and end. Every token starts with a tag that tells its length, and blocks at
//! consecutive positions always use the short token, so a content has one encoding.

use crate::format::{Checksum, Encoder};
use crate::tree::{ItemRef, Key, Leaf, NODE_SIZE, Node};

/// A value: key, length, bytes.
const VALUE: u8 = 0;
/// A block: key, hash.
const BLOCK: u8 = 1;
/// A block at the position after the previous token's block: hash.
const NEXT_BLOCK: u8 = 2;

impl Node {
    /// The hash of the logical content.
    pub fn logical_hash(&self) -> Checksum {
        let mut tokens = Encoder::with_capacity(NODE_SIZE * 2);
        tokens.u8(self.level());
        match self {
            Self::Leaf(leaf) => leaf_tokens(leaf, &mut tokens),
            Self::Interior(interior) => {
                for (key, child) in interior.children() {
                    tokens.raw(&key.encode()).raw(&child.hash.0);
                }
            }
        }
        Checksum::of(&tokens.bytes)
    }
}

fn leaf_tokens(leaf: &Leaf, tokens: &mut Encoder) {
    let mut previous_block: Option<Key> = None;
    for (key, item) in leaf.items() {
        match item {
            ItemRef::Bytes(value) => {
                tokens.u8(VALUE).raw(&key.encode()).u16(value.len() as u16).raw(value);
                previous_block = None;
            }
            ItemRef::Run(run) => {
                for (number, hash) in run.hashes.iter().enumerate() {
                    let at = key.plus(number as u64);
                    if previous_block.is_some_and(|previous| follows(previous, at)) {
                        tokens.u8(NEXT_BLOCK);
                    } else {
                        tokens.u8(BLOCK).raw(&at.encode());
                    }
                    tokens.raw(&hash.0);
                    previous_block = Some(at);
                }
            }
        }
    }
}

fn follows(previous: Key, key: Key) -> bool {
    let next = previous.position.checked_add(1);
    (previous.object, previous.kind, next) == (key.object, key.kind, Some(key.position))
}
