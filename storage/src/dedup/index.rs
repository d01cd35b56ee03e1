//! Where blocks with some fingerprints lie: a cache with a cap.
//!
//! Invariant: what it says is a guess. Whoever asks compares the full hash, so an entry that was
//! evicted, replaced or outlived its block costs space, never correctness.

use crate::format::{Checksum, SlotId};

/// Entries that share one place in the table.
const BUCKET_LEN: usize = 8;
/// Bytes of memory that an entry takes.
const ENTRY_LEN: u64 = 17;

/// Blocks by fingerprint.
pub struct Index {
    fingerprints: Vec<u64>,
    ids: Vec<u64>,
    indexes: Vec<u8>,
    buckets: usize,
    /// Which entry of a full bucket goes next.
    victim: usize,
}

impl Index {
    /// An index that takes at most `budget` bytes, all of them once something is remembered.
    pub fn new(budget: u64) -> Self {
        let buckets = (budget / ENTRY_LEN) as usize / BUCKET_LEN;
        Self { fingerprints: Vec::new(), ids: Vec::new(), indexes: Vec::new(), buckets, victim: 0 }
    }

    /// The block that was last remembered under this hash's fingerprint.
    pub fn get(&self, hash: &Checksum) -> Option<(SlotId, u8)> {
        let fingerprint = fingerprint(hash);
        let bucket = self.bucket(fingerprint)?;
        let at = bucket + self.fingerprints[bucket..bucket + BUCKET_LEN].iter().position(|it| *it == fingerprint)?;
        Some((SlotId(self.ids[at]), self.indexes[at]))
    }

    /// Remembers a block, in place of an older one with this fingerprint or, where it is full, of some other.
    pub fn insert(&mut self, hash: &Checksum, id: SlotId, index: u8) {
        if self.buckets == 0 {
            return;
        }
        if self.fingerprints.is_empty() {
            let entries = self.buckets * BUCKET_LEN;
            (self.fingerprints, self.ids, self.indexes) = (vec![0; entries], vec![0; entries], vec![0; entries]);
        }
        let fingerprint = fingerprint(hash);
        let Some(bucket) = self.bucket(fingerprint) else { return };
        let entries = &self.fingerprints[bucket..bucket + BUCKET_LEN];
        let free = entries.iter().position(|it| *it == fingerprint).or_else(|| entries.iter().position(|it| *it == 0));
        let at = bucket + free.unwrap_or_else(|| self.next_victim());
        (self.fingerprints[at], self.ids[at], self.indexes[at]) = (fingerprint, id.0, index);
    }

    fn next_victim(&mut self) -> usize {
        self.victim = (self.victim + 1) % BUCKET_LEN;
        self.victim
    }

    fn bucket(&self, fingerprint: u64) -> Option<usize> {
        let filled = !self.fingerprints.is_empty();
        // The high half picks the bucket, as the sampling looks at other bytes.
        filled.then(|| (((fingerprint >> 32) * self.buckets as u64) >> 32) as usize * BUCKET_LEN)
    }
}

/// Eight bytes of the hash that sampling does not look at; 0 marks a free entry.
fn fingerprint(hash: &Checksum) -> u64 {
    u64::from_le_bytes(hash.0[8..16].try_into().expect("eight of 32 bytes")).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> Checksum {
        Checksum::of(&number.to_le_bytes())
    }

    #[test]
    fn what_is_found_was_remembered_last_and_memory_is_bounded() {
        let mut index = Index::new(17 * 4096);
        assert_eq!(index.get(&hash(0)), None);
        for number in 0..100_000 {
            index.insert(&hash(number), SlotId(number), (number % 32) as u8);
            assert_eq!(index.get(&hash(number)), Some((SlotId(number), (number % 32) as u8)));
        }
        assert!(index.fingerprints.len() <= 4096);
        let kept = (0..100_000).filter(|number| index.get(&hash(*number)).is_some()).count();
        assert!((3900..=4096).contains(&kept), "{kept} of 4096 entries are in use");
        index.insert(&hash(7), SlotId(1), 1);
        index.insert(&hash(7), SlotId(2), 2);
        assert_eq!(index.get(&hash(7)), Some((SlotId(2), 2)));
    }

    #[test]
    fn without_memory_nothing_is_remembered() {
        let mut index = Index::new(0);
        index.insert(&hash(1), SlotId(1), 0);
        assert_eq!(index.get(&hash(1)), None);
    }
}
