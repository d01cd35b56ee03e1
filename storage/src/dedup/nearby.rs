//! The hashes of extents around those that an anchor was found in.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::format::{Checksum, SlotId};

/// Blocks by full hash, of the extents that were looked at last.
pub struct Nearby {
    blocks: HashMap<Checksum, (SlotId, u8)>,
    extents: HashMap<SlotId, Vec<Checksum>>,
    order: VecDeque<SlotId>,
    /// Those of the extents whose neighbours were looked at as well.
    anchors: HashSet<SlotId>,
    extents_max: usize,
}

impl Nearby {
    /// Keeps the hashes of at most so many extents.
    pub fn new(extents_max: usize) -> Self {
        Self {
            blocks: HashMap::new(),
            extents: HashMap::new(),
            order: VecDeque::new(),
            anchors: HashSet::new(),
            extents_max,
        }
    }

    /// Whether an extent was looked at.
    pub fn knows(&self, id: SlotId) -> bool {
        self.extents.contains_key(&id)
    }

    /// Makes an extent an anchor; returns false if it was one.
    pub fn anchor(&mut self, id: SlotId) -> bool {
        // Anchors that are gone from the disk are never dropped with their extents.
        if self.anchors.len() > 2 * self.extents_max {
            self.anchors.clear();
        }
        self.anchors.insert(id)
    }

    /// Adds an extent's hashes.
    pub fn add(&mut self, id: SlotId, hashes: Vec<Checksum>) {
        while self.order.len() >= self.extents_max {
            self.drop_oldest();
        }
        for (index, hash) in hashes.iter().enumerate() {
            self.blocks.insert(*hash, (id, index as u8));
        }
        self.extents.insert(id, hashes);
        self.order.push_back(id);
    }

    /// The block with this hash.
    pub fn get(&self, hash: &Checksum) -> Option<(SlotId, u8)> {
        self.blocks.get(hash).copied()
    }

    fn drop_oldest(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        self.anchors.remove(&id);
        for hash in self.extents.remove(&id).unwrap_or_default() {
            if self.blocks.get(&hash).is_some_and(|(from, _)| *from == id) {
                self.blocks.remove(&hash);
            }
        }
    }
}
