//! The layout of a node and of a root. `FORMAT.md` has the tables.
//!
//! Invariant: what decodes is what some writer stored: checksum, id, logical hash, order of keys and
//! every bound are checked, the unused tail is zero, and no bytes make decoding panic.

use crate::format::{Birth, BlockHash, Checksum, DecodeError, Decoder, Encoder, SlotId};
use crate::tree::{Interior, ItemRef, Key, Leaf, Node, NodePointer, RUN_BLOCKS_MAX, Root, RunRef, VALUE_MAX};

/// Bytes of a stored node.
pub const NODE_SIZE: usize = 4096;

/// Bytes of a stored node before its key prefix.
pub const HEADER_LENGTH: usize = 34;

const CHECKSUM_LENGTH: usize = 16;
const MAGIC: [u8; 4] = *b"cowN";
const VERSION: u16 = 1;

const _: () = assert!(HEADER_LENGTH == CHECKSUM_LENGTH + MAGIC.len() + 2 + 1 + 1 + 8 + 2);
// A leaf must be able to hold several of the largest items, or splitting could not balance.
const _: () = assert!(NODE_SIZE - HEADER_LENGTH > 3 * (Key::LENGTH + 3 + VALUE_MAX));

/// Bytes of a child in an interior node, without its key.
pub const CHILD_LENGTH: usize = 8 + 32 + 6;

/// Bytes that each block adds to a run.
pub const HASH_LENGTH: usize = 16;

/// Bytes of an item in a leaf, without its key.
pub fn item_length(item: &ItemRef<'_>) -> usize {
    match item {
        ItemRef::Bytes(value) => 1 + 2 + value.len(),
        ItemRef::Run(run) => 1 + 1 + 8 + 6 + HASH_LENGTH * run.hashes.len(),
    }
}

impl Node {
    /// The node as it is stored under `id`. It must fit, as all that [`apply`](crate::tree::apply) makes do.
    pub fn encode(&self, id: SlotId) -> [u8; NODE_SIZE] {
        let keys = self.keys();
        let (first, last) = (keys[0], keys[keys.len() - 1]);
        let prefix = first.common_prefix(last);
        let mut encoder = Encoder::with_capacity(NODE_SIZE);
        encoder.raw(&[0; CHECKSUM_LENGTH]).raw(&MAGIC).u16(VERSION).u8(self.level()).u8(prefix as u8);
        encoder.u64(id.0).u16(keys.len() as u16).raw(&first.encode()[..prefix]);
        match self {
            Self::Leaf(leaf) => encode_items(leaf, prefix, &mut encoder),
            Self::Interior(interior) => {
                for (key, child) in interior.children() {
                    encoder.raw(&key.encode()[prefix..]);
                    encode_pointer(&child, &mut encoder);
                }
            }
        }
        let mut bytes = [0; NODE_SIZE];
        bytes[..encoder.bytes.len()].copy_from_slice(&encoder.bytes);
        let checksum = Checksum::of(&bytes[CHECKSUM_LENGTH..]).block_hash();
        bytes[..CHECKSUM_LENGTH].copy_from_slice(&checksum.0);
        bytes
    }

    /// The id that stored bytes say they have, if they are a whole node's.
    pub fn stored_id(bytes: &[u8]) -> Option<SlotId> {
        let at = CHECKSUM_LENGTH + MAGIC.len() + 2 + 1 + 1;
        let id = SlotId(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        Self::check_stored(bytes, id).is_ok().then_some(id)
    }

    /// The node in `bytes`, if it was stored under `id` and its logical content is what `hash` names.
    pub fn decode(bytes: &[u8], id: SlotId, hash: &Checksum) -> Result<Self, DecodeError> {
        let node = Self::decode_unproven(bytes, id)?;
        if node.logical_hash() != *hash {
            return Err(DecodeError::Checksum("the node's content"));
        }
        Ok(node)
    }

    /// The node in `bytes`, if it was stored under `id`, whatever its logical content.
    pub(in crate::tree) fn decode_unproven(bytes: &[u8], id: SlotId) -> Result<Self, DecodeError> {
        let mut decoder = Self::check_stored(bytes, id)?;
        let level = decoder.u8()?;
        let prefix_length = usize::from(decoder.u8()?);
        decoder.u64()?;
        let count = usize::from(decoder.u16()?);
        if prefix_length > Key::LENGTH || count == 0 {
            return Err(DecodeError::Field("node's counts"));
        }
        let mut keys = Keys { prefix: [0; Key::LENGTH], prefix_length };
        keys.prefix[..prefix_length].copy_from_slice(decoder.raw(prefix_length)?);
        let node = match level {
            0 => Self::Leaf(decode_items(&mut decoder, &keys, count)?),
            _ => Self::Interior(decode_children(&mut decoder, &keys, level, count)?),
        };
        if keys.prefix_length != node.keys()[0].common_prefix(node.keys()[count - 1]) {
            return Err(DecodeError::Field("node's key prefix"));
        }
        if decoder.rest().iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Field("node's unused bytes"));
        }
        Ok(node)
    }

    /// Checks that `bytes` are a whole node that was stored under `id`, whatever its content, for those who move
    /// stored bytes. Returns what follows the version.
    pub fn check_stored(bytes: &[u8], id: SlotId) -> Result<Decoder<'_>, DecodeError> {
        if bytes.len() != NODE_SIZE {
            return Err(DecodeError::Truncated);
        }
        let mut decoder = Decoder::new(bytes);
        let checksum = decoder.array::<CHECKSUM_LENGTH>()?;
        if decoder.array()? != MAGIC {
            return Err(DecodeError::Magic("a tree node"));
        }
        if Checksum::of(&bytes[CHECKSUM_LENGTH..]).block_hash().0 != checksum {
            return Err(DecodeError::Checksum("a tree node"));
        }
        let found = decoder.u16()?;
        if found != VERSION {
            return Err(DecodeError::Version { structure: "a tree node", found, known: VERSION });
        }
        let mut peek = decoder.clone();
        peek.u16()?;
        if peek.u64()? != id.0 {
            return Err(DecodeError::Field("node's own id"));
        }
        Ok(decoder)
    }
}

struct Keys {
    prefix: [u8; Key::LENGTH],
    prefix_length: usize,
}

impl Keys {
    fn take(&self, decoder: &mut Decoder<'_>) -> Result<Key, DecodeError> {
        let mut bytes = self.prefix;
        bytes[self.prefix_length..].copy_from_slice(decoder.raw(Key::LENGTH - self.prefix_length)?);
        Ok(Key::decode(bytes))
    }
}

fn encode_items(leaf: &Leaf, prefix: usize, encoder: &mut Encoder) {
    for (key, item) in leaf.items() {
        encoder.raw(&key.encode()[prefix..]);
        match item {
            ItemRef::Bytes(value) => {
                encoder.u8(0).u16(value.len() as u16).raw(value);
            }
            ItemRef::Run(run) => {
                encoder.u8(run.hashes.len() as u8).u8(run.first).u64(run.id.0).u48(run.birth.0);
                run.hashes.iter().for_each(|hash| {
                    encoder.raw(&hash.0);
                });
            }
        }
    }
}

fn decode_items(decoder: &mut Decoder<'_>, keys: &Keys, count: usize) -> Result<Leaf, DecodeError> {
    let mut leaf = Leaf::default();
    // The shortest item takes three bytes, so a count out of proportion reserves no more than a node can hold.
    leaf.keys.reserve_exact(count.min(NODE_SIZE / 3));
    leaf.slots.reserve_exact(count.min(NODE_SIZE / 3));
    let mut previous_last = None;
    for _ in 0..count {
        let key = keys.take(decoder)?;
        if previous_last.is_some_and(|last| key <= last) {
            return Err(DecodeError::Field("node's order of keys"));
        }
        previous_last = Some(match decoder.u8()? {
            0 => {
                let length = usize::from(decoder.u16()?);
                if length > VALUE_MAX {
                    return Err(DecodeError::Field("value's length"));
                }
                leaf.push_exactly(key, ItemRef::Bytes(decoder.raw(length)?));
                key
            }
            blocks => decode_run(decoder, key, usize::from(blocks), &mut leaf)?,
        });
    }
    Ok(leaf)
}

/// Returns the run's last key.
fn decode_run(decoder: &mut Decoder<'_>, key: Key, blocks: usize, leaf: &mut Leaf) -> Result<Key, DecodeError> {
    let first = decoder.u8()?;
    let position = key.position.checked_add(blocks as u64 - 1).ok_or(DecodeError::Field("run's last position"))?;
    if usize::from(first) + blocks > RUN_BLOCKS_MAX {
        return Err(DecodeError::Field("run's blocks"));
    }
    let (id, birth) = (SlotId(decoder.u64()?), Birth(decoder.u48()?));
    let mut hashes = [BlockHash::default(); RUN_BLOCKS_MAX];
    for hash in &mut hashes[..blocks] {
        *hash = BlockHash(decoder.array()?);
    }
    leaf.push_exactly(key, ItemRef::Run(RunRef { id, first, birth, hashes: &hashes[..blocks] }));
    Ok(Key { position, ..key })
}

fn decode_children(decoder: &mut Decoder<'_>, keys: &Keys, level: u8, count: usize) -> Result<Interior, DecodeError> {
    let room = count.min(NODE_SIZE / CHILD_LENGTH);
    let mut interior = Interior { level, keys: Vec::with_capacity(room), children: Vec::with_capacity(room) };
    for _ in 0..count {
        let key = keys.take(decoder)?;
        if interior.keys.last().is_some_and(|last| key <= *last) {
            return Err(DecodeError::Field("node's order of keys"));
        }
        interior.keys.push(key);
        interior.children.push(decode_pointer(decoder)?);
    }
    Ok(interior)
}

fn encode_pointer(pointer: &NodePointer, encoder: &mut Encoder) {
    encoder.u64(pointer.id.0).raw(&pointer.hash.0).u48(pointer.birth.0);
}

fn decode_pointer(decoder: &mut Decoder<'_>) -> Result<NodePointer, DecodeError> {
    Ok(NodePointer { id: SlotId(decoder.u64()?), hash: Checksum(decoder.array()?), birth: Birth(decoder.u48()?) })
}

impl Root {
    /// Bytes of an encoded root.
    pub const LENGTH: usize = CHILD_LENGTH + 1;

    /// The bytes of the root: all zero for the empty tree.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut encoder = Encoder::with_capacity(Self::LENGTH);
        match &self.pointer {
            Some(pointer) => encode_pointer(pointer, &mut encoder),
            None => {
                encoder.raw(&[0; CHILD_LENGTH]);
            }
        }
        encoder.u8(self.height);
        encoder.bytes.try_into().expect("the fields add up to the length")
    }

    /// Takes a root off the front of what `decoder` has left.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = decoder.array::<{ Self::LENGTH }>()?;
        let mut fields = Decoder::new(&bytes);
        let pointer = decode_pointer(&mut fields)?;
        match fields.u8()? {
            0 if bytes == [0; Self::LENGTH] => Ok(Self::EMPTY),
            0 => Err(DecodeError::Field("root's height")),
            height => Ok(Self { pointer: Some(pointer), height }),
        }
    }
}
