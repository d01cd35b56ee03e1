//! Where blocks with some fingerprints lie: a cache with a cap.
//!
//! Invariant: what it says is a guess. Whoever asks compares the full hash, so an entry that was
//! evicted, replaced or outlived its block costs space, never correctness.

use crate::format::{Checksum, SlotId};

/// Entries that share one place in the table.
const BUCKET_LEN: usize = 8;
/// Bytes of memory that an entry takes.
const ENTRY_LEN: u64 = 16;

/// An extent that has, or had, a block with this fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dedup) struct Entry {
    /// Never 0.
    pub fingerprint: u64,
    pub id: SlotId,
}

/// Extents by fingerprint.
pub(in crate::dedup) struct Index {
    /// 0 where an entry is free.
    fingerprints: Vec<u64>,
    ids: Vec<u64>,
    buckets: usize,
    used: usize,
    /// Which entry of a full bucket goes next.
    victim: usize,
    remembered: u64,
}

impl Index {
    /// An index that takes at most `budget` bytes, all of them once something is remembered.
    pub fn new(budget: u64) -> Self {
        let buckets = (budget / ENTRY_LEN) as usize / BUCKET_LEN;
        Self { fingerprints: Vec::new(), ids: Vec::new(), buckets, used: 0, victim: 0, remembered: 0 }
    }

    /// The extent that was last remembered under this hash's fingerprint.
    pub fn get(&self, hash: &Checksum) -> Option<SlotId> {
        let fingerprint = fingerprint(hash);
        let bucket = self.bucket(fingerprint)?;
        let at = bucket + self.fingerprints[bucket..bucket + BUCKET_LEN].iter().position(|it| *it == fingerprint)?;
        Some(SlotId(self.ids[at]))
    }

    /// Remembers a block, in place of an older one with this fingerprint or, where it is full, of some other.
    pub fn insert(&mut self, hash: &Checksum, id: SlotId) {
        let entry = Entry { fingerprint: fingerprint(hash), id };
        let Some((bucket, found)) = self.place(entry.fingerprint) else { return };
        let at = found.unwrap_or_else(|| bucket + self.next_victim());
        self.set(at, entry);
        self.remembered += 1;
    }

    /// Takes in an entry of an older index, where nothing newer is in its place.
    pub fn insert_older(&mut self, entry: Entry) {
        if let Some((_, Some(at))) = self.place(entry.fingerprint)
            && self.fingerprints[at] == 0
        {
            self.set(at, entry);
        }
    }

    /// Entries that it can have.
    pub fn capacity(&self) -> usize {
        self.buckets * BUCKET_LEN
    }

    /// Entries that it has; they become no fewer.
    pub fn used(&self) -> usize {
        self.used
    }

    /// How often a block was remembered.
    pub fn remembered(&self) -> u64 {
        self.remembered
    }

    /// Adds up to `count` entries from the place `from` of the table on to `out`, and returns the place to go on from.
    pub fn collect(&self, from: usize, count: usize, out: &mut Vec<Entry>) -> usize {
        let rest = self.fingerprints.iter().zip(&self.ids).enumerate().skip(from);
        let mut used = rest.filter(|(_, (fingerprint, _))| **fingerprint != 0);
        let mut next = from;
        for (at, (fingerprint, id)) in used.by_ref().take(count) {
            out.push(Entry { fingerprint: *fingerprint, id: SlotId(*id) });
            next = at + 1;
        }
        next
    }

    /// The bucket of a fingerprint, and the entry there that has it, or else one that is free.
    fn place(&mut self, fingerprint: u64) -> Option<(usize, Option<usize>)> {
        if self.fingerprints.is_empty() {
            (self.fingerprints, self.ids) = (vec![0; self.capacity()], vec![0; self.capacity()]);
        }
        let bucket = self.bucket(fingerprint)?;
        let entries = &self.fingerprints[bucket..bucket + BUCKET_LEN];
        let found = entries.iter().position(|it| *it == fingerprint).or_else(|| entries.iter().position(|it| *it == 0));
        Some((bucket, found.map(|at| bucket + at)))
    }

    fn set(&mut self, at: usize, entry: Entry) {
        self.used += usize::from(self.fingerprints[at] == 0);
        (self.fingerprints[at], self.ids[at]) = (entry.fingerprint, entry.id.0);
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
        let mut index = Index::new(16 * 4096);
        assert_eq!(index.get(&hash(0)), None);
        for number in 0..100_000 {
            index.insert(&hash(number), SlotId(number));
            assert_eq!(index.get(&hash(number)), Some(SlotId(number)));
        }
        assert!(index.fingerprints.len() <= 4096);
        let kept = (0..100_000).filter(|number| index.get(&hash(*number)).is_some()).count();
        assert!((3900..=4096).contains(&kept), "{kept} of 4096 entries are in use");
        assert_eq!((index.used(), index.remembered()), (kept, 100_000));
        index.insert(&hash(7), SlotId(1));
        index.insert(&hash(7), SlotId(2));
        assert_eq!(index.get(&hash(7)), Some(SlotId(2)));
    }

    /// Whatever the sizes of the two, and a piece at a time.
    #[test]
    fn an_index_takes_in_an_older_one_where_it_knows_nothing_newer() {
        let mut older = Index::new(16 * 4096);
        (0..1000).for_each(|number| older.insert(&hash(number), SlotId(number)));
        for budget in [16 * 4096, 16 * 300, 16 * 8192, 0] {
            let mut index = Index::new(budget);
            (0..100).for_each(|number| index.insert(&hash(number), SlotId(5000 + number)));
            let (mut entries, mut from) = (Vec::new(), 0);
            while entries.len() < older.used() {
                from = older.collect(from, 7, &mut entries);
            }
            let again = older.collect(from, 7, &mut entries);
            assert_eq!((again, entries.len()), (from, older.used()));
            entries.iter().for_each(|entry| index.insert_older(*entry));
            let known = (100..1000).filter(|number| index.get(&hash(*number)) == Some(SlotId(*number))).count();
            let newer = (0..100).filter(|number| index.get(&hash(*number)) == Some(SlotId(5000 + number))).count();
            assert!(known <= 900 && (budget < 16 * 4096 || known > 850), "{known} of 900");
            assert_eq!((newer, index.used()), if budget == 0 { (0, 0) } else { (100, 100 + known) });
        }
    }

    #[test]
    fn without_memory_nothing_is_remembered() {
        let mut index = Index::new(0);
        index.insert(&hash(1), SlotId(1));
        assert_eq!(index.get(&hash(1)), None);
    }
}
