//! The decoders of nodes and roots, for fuzzers.

use crate::format::{Decoder, SlotId, Target, put_checksum};
use crate::tree::{ItemRef, NODE_SIZE, Node, Root};

pub(crate) const TARGETS: [Target; 2] = [
    Target::new("tree-node", |bytes| node(bytes).map(|(id, node)| node.encode(id).to_vec()))
        .sealed(|bytes| put_checksum(bytes, 16..NODE_SIZE, 0, 16))
        .with_parts(|bytes| node(bytes).map(|(_, node)| values(&node)).unwrap_or_default())
        .named_by(|bytes| node(bytes).map(|(_, node)| node.logical_hash())),
    Target::new("tree-root", |bytes| {
        let mut from = Decoder::new(bytes);
        let root = Root::decode(&mut from).ok().filter(|_| from.rest().is_empty())?;
        Some(root.encode().to_vec())
    }),
];

/// The node in the bytes, whatever hash it has.
fn node(bytes: &[u8]) -> Option<(SlotId, Node)> {
    let id = Node::stored_id(bytes)?;
    Some((id, Node::decode_unproven(bytes, id).ok()?))
}

fn values(node: &Node) -> Vec<Vec<u8>> {
    let Node::Leaf(leaf) = node else { return Vec::new() };
    let value = |item: ItemRef<'_>| match item {
        ItemRef::Bytes(value) => Some(value.to_vec()),
        ItemRef::Run(_) => None,
    };
    leaf.items().filter_map(|(_, item)| value(item)).collect()
}
