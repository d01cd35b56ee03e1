//! The layout of a radix node, and of a root.

use std::collections::BTreeMap;

use crate::account::link::{Link, decode_front};
use crate::account::radix::{HEIGHT_MAX, Key, Node, Root};
use crate::format::{DecodeError, Decoder, Encoder};

const MAGIC: &[u8; 4] = b"COWR";
const VERSION: u16 = 1;
const NAME: &str = "a radix node";
const HEADER_LEN: usize = 4 + 2 + 1 + 1 + 6 + 2 + 8;

impl Node {
    /// Bytes of an encoded node with 64 children.
    pub const FULL_LEN: usize = HEADER_LEN + 64 * Link::ENCODED_LEN;

    /// The node's bytes: a header, a bit for each child, and the children's links.
    pub fn encode(&self, (level, index): Key) -> Vec<u8> {
        let mut out = Encoder::with_capacity(Self::FULL_LEN);
        out.raw(MAGIC).u16(VERSION).u8(level).u8(0).u48(index).u16(0);
        out.u64(self.children.keys().fold(0, |bits, child| bits | 1 << child));
        self.children.values().for_each(|link| link.encode(&mut out));
        out.bytes
    }

    /// Decodes the node `key`; zeros may follow it.
    pub fn decode(bytes: &[u8], key: Key) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(bytes);
        decode_front(&mut from, NAME, MAGIC, VERSION)?;
        let found = (from.u8()?, from.u8()?, from.u48()?, from.u16()?);
        if found != (key.0, 0, key.1, 0) {
            return Err(DecodeError::Field("radix position"));
        }
        let bits = from.u64()?;
        let mut children = BTreeMap::new();
        for child in (0..64).filter(|child| bits >> child & 1 == 1) {
            children.insert(child, Link::decode(&mut from)?);
        }
        match from.rest().iter().all(|byte| *byte == 0) {
            true => Ok(Self { children }),
            false => Err(DecodeError::Field("radix node length")),
        }
    }
}

impl Root {
    /// Appends the height, and the link unless the tree is empty.
    pub fn encode(&self, out: &mut Encoder) {
        out.u8(self.height);
        if let Some(link) = &self.link {
            link.encode(out);
        }
    }

    /// Takes a root.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match from.u8()? {
            0 => Ok(Self::default()),
            height if height <= HEIGHT_MAX => Ok(Self { height, link: Some(Link::decode(from)?) }),
            _ => Err(DecodeError::Field("radix height")),
        }
    }
}
