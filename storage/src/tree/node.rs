//! One node, decoded: a leaf of items or an interior node of children.
//!
//! Invariant: keys ascend, and the positions that a leaf's items cover do not overlap. A leaf keeps
//! its values in one flat vector and its hashes in another, so that a node costs four allocations.

use crate::format::{Birth, BlockHash, Checksum, SlotId};
use crate::tree::{Dead, ItemRef, Key, RUN_BLOCKS_MAX, RunRef};

/// A pointer to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePointer {
    /// Which node.
    pub id: SlotId,
    /// The hash of its logical content: keys, bytes, block hashes, child hashes.
    pub hash: Checksum,
    /// The commit that the node was written in. All that it reaches was born then or before.
    pub birth: Birth,
}

impl NodePointer {
    /// The pointer as it is reported when nothing reaches it any more.
    pub fn dead(&self) -> Dead {
        Dead { id: self.id, first: 0, count: 1, birth: self.birth, is_node: true }
    }
}

/// What names a whole tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Root {
    /// The top node; `None` for the empty tree.
    pub pointer: Option<NodePointer>,
    /// How many levels of nodes there are; 0 for the empty tree.
    pub height: u8,
}

impl Root {
    /// The tree without items.
    pub const EMPTY: Self = Self { pointer: None, height: 0 };
}

/// A decoded node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Level 0.
    Leaf(Leaf),
    /// Level 1 and above.
    Interior(Interior),
}

impl Node {
    /// An empty node to fill.
    pub fn empty(level: u8) -> Self {
        match level {
            0 => Self::Leaf(Leaf::default()),
            _ => Self::Interior(Interior { level, keys: Vec::new(), children: Vec::new() }),
        }
    }

    /// Levels above the leaves.
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Interior(interior) => interior.level,
        }
    }

    /// The keys of its items or children.
    pub fn keys(&self) -> &[Key] {
        match self {
            Self::Leaf(leaf) => &leaf.keys,
            Self::Interior(interior) => &interior.keys,
        }
    }

    /// Bytes that the node takes in memory, for caches.
    pub fn memory_size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Leaf(leaf) => {
                    leaf.keys.capacity() * size_of::<Key>()
                        + leaf.slots.capacity() * size_of::<Slot>()
                        + leaf.bytes.capacity()
                        + leaf.hashes.capacity() * size_of::<BlockHash>()
                }
                Self::Interior(interior) => {
                    interior.keys.capacity() * size_of::<Key>()
                        + interior.children.capacity() * size_of::<NodePointer>()
                }
            }
    }
}

/// Children, each under the first key of its subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interior {
    pub(in crate::tree) level: u8,
    pub(in crate::tree) keys: Vec<Key>,
    pub(in crate::tree) children: Vec<NodePointer>,
}

impl Interior {
    /// The children in order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = (Key, NodePointer)> + '_ {
        self.keys.iter().copied().zip(self.children.iter().copied())
    }

    /// The number of the child whose subtree would hold `key`.
    pub fn child_for(&self, key: Key) -> usize {
        self.keys.partition_point(|first| *first <= key).saturating_sub(1)
    }

    /// Where the subtree of child `number` ends: the next one's first key, or else `upper`, which is the node's end.
    pub fn upper(&self, number: usize, upper: Option<Key>) -> Option<Key> {
        self.keys.get(number + 1).copied().or(upper)
    }
}

/// Items in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Leaf {
    pub(in crate::tree) keys: Vec<Key>,
    pub(in crate::tree) slots: Vec<Slot>,
    pub(in crate::tree) bytes: Vec<u8>,
    pub(in crate::tree) hashes: Vec<BlockHash>,
}

/// What an item is, and where in the leaf's flat vectors it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tree) enum Slot {
    Bytes { start: u32, length: u16 },
    Run { id: SlotId, birth: Birth, first: u8, count: u8, start: u32 },
}

impl Leaf {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Item `number`.
    pub fn item(&self, number: usize) -> (Key, ItemRef<'_>) {
        let item = match self.slots[number] {
            Slot::Bytes { start, length } => ItemRef::Bytes(&self.bytes[start as usize..][..usize::from(length)]),
            Slot::Run { id, birth, first, count, start } => {
                ItemRef::Run(RunRef { id, first, birth, hashes: &self.hashes[start as usize..][..usize::from(count)] })
            }
        };
        (self.keys[number], item)
    }

    /// The items in order.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (Key, ItemRef<'_>)> + '_ {
        (0..self.len()).map(|number| self.item(number))
    }

    /// The number of the first item that `key` does not lie beyond: the one that covers it, or the next.
    pub fn first_reaching(&self, key: Key) -> usize {
        let after = self.keys.partition_point(|first| *first <= key);
        match after.checked_sub(1).map(|number| self.item(number)) {
            Some((first, item)) if item.last_key(first) >= key => after - 1,
            _ => after,
        }
    }

    /// Appends an item, which must lie after all others. A run that continues the last one joins it.
    pub fn push(&mut self, key: Key, item: ItemRef<'_>) {
        match item {
            ItemRef::Run(run) if self.extend_last_run(key, &run) => self.hashes.extend_from_slice(run.hashes),
            _ => self.push_exactly(key, item),
        }
    }

    /// Appends an item as it is, which must lie after all others.
    pub(in crate::tree) fn push_exactly(&mut self, key: Key, item: ItemRef<'_>) {
        self.keys.push(key);
        match item {
            ItemRef::Bytes(value) => {
                let (start, length) = (self.bytes.len() as u32, value.len() as u16);
                self.slots.push(Slot::Bytes { start, length });
                self.bytes.extend_from_slice(value);
            }
            ItemRef::Run(RunRef { id, first, birth, hashes }) => {
                let (start, count) = (self.hashes.len() as u32, hashes.len() as u8);
                self.slots.push(Slot::Run { id, birth, first, count, start });
                self.hashes.extend_from_slice(hashes);
            }
        }
    }

    fn extend_last_run(&mut self, key: Key, run: &RunRef<'_>) -> bool {
        let Some(number) = self.len().checked_sub(1) else { return false };
        let (last_key, ItemRef::Run(last)) = self.item(number) else { return false };
        let blocks = last.hashes.len() as u64;
        let adjoins = last_key.object == key.object
            && last_key.kind == key.kind
            && last_key.position.checked_add(blocks) == Some(key.position);
        if !adjoins || !last.continues_with(run) || last.hashes.len() + run.hashes.len() > RUN_BLOCKS_MAX {
            return false;
        }
        if let Slot::Run { count, .. } = &mut self.slots[number] {
            *count += run.hashes.len() as u8;
        }
        true
    }
}
