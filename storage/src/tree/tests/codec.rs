//! Nodes decode to what was encoded, and nothing else decodes.

use crate::format::example::{documented, render};
use crate::format::{Birth, BlockHash, Checksum, DecodeError, Decoder, SegmentId, SlotId};
use crate::tree::tests::*;

const ID: SlotId = SlotId(3 << 24 | 5);

fn run(id: u32, first: u8, birth: u64, hashes: &[u8]) -> Run {
    let hashes = hashes.iter().map(|byte| BlockHash([*byte; 16])).collect();
    Run { id: SlotId::new(SegmentId(2), id), first, birth: Birth(birth), hashes }
}

fn leaf(items: &[(Key, ItemRef<'_>)]) -> Node {
    let mut leaf = Leaf::default();
    items.iter().for_each(|(key, item)| leaf.push(*key, *item));
    Node::Leaf(leaf)
}

fn example_leaf() -> Node {
    let run = run(9, 1, 77, &[0xaa, 0xbb]);
    leaf(&[(Key::new(5, 1, 0), ItemRef::Bytes(b"value")), (Key::new(5, 3, 64), ItemRef::Run(run.borrow()))])
}

fn example_interior() -> Node {
    let child = |id, byte| NodePointer { id: SlotId(id), hash: Checksum([byte; 32]), birth: Birth(4) };
    let keys = vec![Key::new(5, 1, 0), Key::new(6, 1, 0)];
    Node::Interior(Interior { level: 1, keys, children: vec![child(1, 0x11), child(2, 0x22)] })
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    for node in [example_leaf(), example_interior()] {
        let hash = node.logical_hash();
        let bytes = node.encode(ID);
        assert_eq!(Node::decode(&bytes, ID, &hash), Ok(node));
        for bit in (0..2000).chain(NODE_SIZE * 8 - 8..NODE_SIZE * 8) {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Node::decode(&flipped, ID, &hash).is_err(), "bit {bit}");
        }
        for length in 0..NODE_SIZE {
            assert!(Node::decode(&bytes[..length], ID, &hash).is_err());
        }
        assert!(Node::decode(&bytes, SlotId(ID.0 + 1), &hash).is_err());
        assert!(Node::decode(&bytes, ID, &Checksum::of(b"another")).is_err());
        Node::check_stored(&bytes, ID).unwrap();
    }
}

/// Bytes with a right checksum, which only a wrong writer or an attacker could store.
#[test]
fn no_bytes_make_decoding_panic() {
    let mut random = Random(1);
    for node in [example_leaf(), example_interior()] {
        let bytes = node.encode(ID);
        for round in 0..20_000 {
            let mut wrong = bytes;
            for _ in 0..=random.below(3) {
                let at =
                    if round % 2 == 0 { 16 + random.below(150) } else { [22, 23, 32, 33][random.below(4) as usize] };
                wrong[at as usize] = random.below(256) as u8;
            }
            let checksum = Checksum::of(&wrong[16..]).block_hash();
            wrong[..16].copy_from_slice(&checksum.0);
            if let Ok(decoded) = Node::decode(&wrong, ID, &node.logical_hash()) {
                // Ids and births can differ, for no logical hash covers them.
                assert_eq!(decoded.encode(ID), wrong);
                assert_eq!(decoded.keys(), node.keys());
            }
        }
    }
}

#[test]
fn the_logical_hash_covers_content_only() {
    let key = Key::new(5, 3, 64);
    let value = (Key::new(5, 1, 0), ItemRef::Bytes(b"value"));
    let (whole, one, other) = (run(9, 1, 77, &[1, 2, 3]), run(4, 0, 1, &[1]), run(3, 6, 9, &[2, 3]));
    let hash = |items: &[(Key, ItemRef<'_>)]| leaf(items).logical_hash();
    let same = hash(&[value, (key, ItemRef::Run(whole.borrow()))]);
    assert_eq!(same, hash(&[value, (key, ItemRef::Run(one.borrow())), (key.plus(1), ItemRef::Run(other.borrow()))]));
    let gap = hash(&[value, (key, ItemRef::Run(one.borrow())), (key.plus(2), ItemRef::Run(other.borrow()))]);
    let moved = hash(&[value, (key.plus(1), ItemRef::Run(whole.borrow()))]);
    let longer = hash(&[(value.0, ItemRef::Bytes(b"value1")), (key, ItemRef::Run(whole.borrow()))]);
    let alone = hash(&[(key, ItemRef::Run(whole.borrow()))]);
    let mut all = vec![same, gap, moved, longer, alone];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[test]
fn roots_decode_to_what_was_encoded() {
    let pointer = NodePointer { id: ID, hash: Checksum([7; 32]), birth: Birth(9) };
    for root in [Root::EMPTY, Root { pointer: Some(pointer), height: 3 }] {
        assert_eq!(Root::decode(&mut Decoder::new(&root.encode())), Ok(root));
    }
    let no_height = Root { pointer: Some(pointer), height: 0 }.encode();
    assert!(Root::decode(&mut Decoder::new(&no_height)).is_err());
    assert!(Root::decode(&mut Decoder::new(&no_height[1..])).is_err());
}

#[test]
fn the_documented_examples_are_what_is_stored() {
    for (heading, node) in [("Tree node", example_leaf()), ("Tree interior node", example_interior())] {
        let (bytes, documented) = (node.encode(ID).to_vec(), documented(heading, NODE_SIZE));
        assert!(documented == bytes, "{heading}:\n{}", render(&bytes));
        assert_eq!(Node::decode(&documented, ID, &node.logical_hash()), Ok(node));
    }
    let pointer = NodePointer { id: ID, hash: example_interior().logical_hash(), birth: Birth(77) };
    let root = Root { pointer: Some(pointer), height: 2 };
    let documented = documented("Tree root", Root::LENGTH);
    assert!(documented == root.encode(), "{}", render(&root.encode()));
    assert_eq!(Root::decode(&mut Decoder::new(&documented)), Ok(root));
}

/// Each of these has the checksum and the hash that its pointer names.
#[test]
fn nodes_that_no_writer_makes_do_not_decode() {
    let key = Key::new(5, 3, 64);
    let long = vec![0; VALUE_MAX + 1];
    let (three, beyond) = (run(9, 1, 77, &[1, 2, 3]), run(9, 31, 77, &[1, 2]));
    let (value, run) = (ItemRef::Bytes(b"value"), ItemRef::Run(three.borrow()));
    let leaves: [&[(Key, ItemRef<'_>)]; 6] = [
        &[(key, value), (key, value)],
        &[(key.plus(1), value), (key, value)],
        &[(key, run), (key.plus(2), value)],
        &[(key, run), (key.plus(1), run)],
        &[(key, ItemRef::Bytes(&long))],
        &[(key, ItemRef::Run(beyond.borrow()))],
    ];
    let mut nodes: Vec<Node> = leaves.into_iter().map(leaf).collect();
    let Node::Interior(mut interior) = example_interior() else { unreachable!() };
    interior.keys.reverse();
    nodes.push(Node::Interior(interior));
    for node in nodes {
        let decoded = Node::decode(&node.encode(ID), ID, &node.logical_hash());
        assert!(matches!(decoded, Err(DecodeError::Field(_))), "{decoded:?}");
    }
}
