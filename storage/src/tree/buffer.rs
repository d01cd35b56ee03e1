//! A node that may hold more than fits, while a tree is being rebuilt: measure it, cut it, take parts off.
//!
//! Invariant: every cut gives nodes that fit, and, where there was content for it, none that is less than
//! a quarter full. Fullness is *weight*: encoded bytes with whole keys. Unlike the encoded length it does not
//! depend on what shares a node, so the parts' weights add up to the whole's.

use std::ops::Range;

use crate::tree::codec::{CHILD_LENGTH, HEADER_LENGTH, NODE_SIZE, item_length};
use crate::tree::node::Slot;
use crate::tree::{Interior, Key, Leaf, Node};

/// Bytes of prefix and entries that fit into a node.
pub const CAPACITY: usize = NODE_SIZE - HEADER_LENGTH;

/// A node of less weight joins a neighbour.
pub const WEIGHT_MIN: usize = CAPACITY / 4;

impl Node {
    /// Encoded bytes of the entries with whole keys.
    pub fn weight(&self) -> usize {
        (0..self.keys().len()).map(|number| self.entry_weight(number)).sum()
    }

    pub(in crate::tree) fn entry_weight(&self, number: usize) -> usize {
        Key::LENGTH
            + match self {
                Self::Leaf(leaf) => item_length(&leaf.item(number).1),
                Self::Interior(_) => CHILD_LENGTH,
            }
    }

    /// How many entries from number `from` on fit into one node, at least one, and what they weigh.
    fn fitting(&self, from: usize) -> (usize, usize) {
        let keys = self.keys();
        let mut weight = 0;
        for number in from..keys.len() {
            let more = weight + self.entry_weight(number);
            // With whole keys it fits in any case, so that nobody has to look what they share.
            if more > CAPACITY {
                let prefix = keys[from].common_prefix(keys[number]);
                if prefix + more - (number + 1 - from) * prefix > CAPACITY {
                    return (number - from, weight);
                }
            }
            weight = more;
        }
        (keys.len() - from, weight)
    }

    /// How many entries of the front, of all that weigh `weight`, can leave as one full node, so that what stays is at
    /// least one node more.
    pub(in crate::tree) fn surplus(&self, weight: usize) -> Option<usize> {
        let (full, full_weight) = self.fitting(0);
        (weight - full_weight >= CAPACITY).then_some(full)
    }

    /// How many entries each of the nodes gets that this content needs. All are full but the last two, which
    /// share evenly; unless `at_end`, where more will be appended and so the last one gets what is left.
    pub(in crate::tree) fn cuts(&self, at_end: bool) -> Vec<usize> {
        let (mut counts, mut from) = (Vec::new(), 0);
        while from < self.keys().len() {
            counts.push(self.fitting(from).0);
            from += counts[counts.len() - 1];
        }
        if let [.., left, right] = &mut counts[..]
            && !at_end
        {
            let both = *left + *right;
            *left = self.even_split(from - both, *left);
            *right = both - *left;
        }
        counts
    }

    /// Of the entries from number `from` on, of which `left_most` fit into one node and the others into another:
    /// how many go left.
    fn even_split(&self, from: usize, left_most: usize) -> usize {
        let end = self.keys().len();
        let all: usize = (from..end).map(|number| self.entry_weight(number)).sum();
        let (mut left, mut weight) = (0, 0);
        while left < left_most && 2 * weight < all {
            weight += self.entry_weight(from + left);
            left += 1;
        }
        // The right part has a shorter common prefix now, and may need to give some back.
        while left < left_most && self.fitting(from + left).0 < end - from - left {
            left += 1;
        }
        left
    }

    /// Takes the first `count` entries off, as a node.
    pub(in crate::tree) fn take_front(&mut self, count: usize) -> Self {
        match self {
            Self::Leaf(leaf) => Self::Leaf(leaf.take_front(count)),
            Self::Interior(interior) => Self::Interior(Interior {
                level: interior.level,
                keys: take(&mut interior.keys, count),
                children: take(&mut interior.children, count),
            }),
        }
    }

    /// Appends what `node`, of the same level, holds.
    pub(in crate::tree) fn append(&mut self, node: &Self) {
        match (self, node) {
            (Self::Leaf(leaf), Self::Leaf(more)) => more.items().for_each(|(key, item)| leaf.push(key, item)),
            (Self::Interior(interior), Self::Interior(more)) => {
                interior.keys.extend_from_slice(&more.keys);
                interior.children.extend_from_slice(&more.children);
            }
            _ => unreachable!("a buffer takes nodes of its own level, which were checked when loaded"),
        }
    }
}

impl Leaf {
    /// Appends items of another leaf as they are; they must lie after all of this one's.
    pub(in crate::tree) fn extend_from(&mut self, leaf: &Self, numbers: Range<usize>) {
        // A leaf's flat vectors have the same order as its items.
        let (mut bytes, mut hashes): (Option<Range<u32>>, Option<Range<u32>>) = (None, None);
        let join = |all: &mut Option<Range<u32>>, own_len: usize, start: u32, length: u32| {
            let from = all.as_ref().map_or(start, |all| all.start);
            *all = Some(from..start + length);
            own_len as u32 + (start - from)
        };
        let slots = leaf.slots[numbers.clone()].iter().map(|slot| match *slot {
            Slot::Bytes { start, length } => {
                Slot::Bytes { start: join(&mut bytes, self.bytes.len(), start, length.into()), length }
            }
            Slot::Run { id, birth, first, count, start } => {
                let start = join(&mut hashes, self.hashes.len(), start, count.into());
                Slot::Run { id, birth, first, count, start }
            }
        });
        self.slots.extend(slots);
        self.keys.extend_from_slice(&leaf.keys[numbers]);
        let places = |range: Option<Range<u32>>| range.map_or(0..0, |range| range.start as usize..range.end as usize);
        self.bytes.extend_from_slice(&leaf.bytes[places(bytes)]);
        self.hashes.extend_from_slice(&leaf.hashes[places(hashes)]);
    }

    fn take_front(&mut self, count: usize) -> Self {
        let (mut bytes, mut hashes) = (0, 0);
        for slot in &self.slots[..count] {
            match slot {
                Slot::Bytes { length, .. } => bytes += u32::from(*length),
                Slot::Run { count, .. } => hashes += u32::from(*count),
            }
        }
        let front = Self {
            keys: take(&mut self.keys, count),
            slots: take(&mut self.slots, count),
            bytes: take(&mut self.bytes, bytes as usize),
            hashes: take(&mut self.hashes, hashes as usize),
        };
        for slot in &mut self.slots {
            match slot {
                Slot::Bytes { start, .. } => *start -= bytes,
                Slot::Run { start, .. } => *start -= hashes,
            }
        }
        front
    }
}

fn take<T: Copy>(from: &mut Vec<T>, count: usize) -> Vec<T> {
    let front = from[..count].to_vec();
    from.drain(..count);
    front
}
