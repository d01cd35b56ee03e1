//! A bounded cache by id, shared by all who read.
//!
//! Invariant: the weights of all entries never add up to more than the budget. What is asked for
//! again outlives what streams by: an entry comes in untouched and each hit (up to three) lets it
//! pass one more sweep of the hand, so a long scan evicts itself first.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use crate::sync::{AtomicU64, Mutex, Ordering};

/// Most shards that a cache is cut into, so that threads seldom wait for one another.
const SHARDS_MAX: u64 = 16;

/// A shard is worth having from this budget on, in bytes.
const SHARD_LEN_MIN: u64 = 1 << 20;

/// Sweeps of the hand that an entry can have earned.
const TOUCHES_MAX: u8 = 3;

/// Values by key, up to a budget. Cloning a value should be cheap, as an `Arc` is.
pub struct Cache<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

struct Shard<K, V> {
    budget: u64,
    used: u64,
    places: HashMap<K, usize, BuildHasherDefault<IdHasher>>,
    entries: Vec<Option<Entry<K, V>>>,
    vacant: Vec<usize>,
    hand: usize,
}

struct Entry<K, V> {
    key: K,
    value: V,
    weight: u64,
    touches: u8,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// A cache whose entries weigh at most `budget` together, in bytes.
    pub fn new(budget: u64) -> Self {
        let count = (budget / SHARD_LEN_MIN).clamp(1, SHARDS_MAX);
        let shards = (0..count).map(|_| Mutex::new(Shard::new(budget / count))).collect();
        Self { shards, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K, V>> {
        // The top bits: the map inside the shard uses the others.
        let hash = BuildHasherDefault::<IdHasher>::default().hash_one(key) >> 40;
        &self.shards[hash as usize % self.shards.len()]
    }

    /// The value of `key`, if it is still there.
    pub fn get(&self, key: &K) -> Option<V> {
        let found = self.shard(key).lock().get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Whether `key` is there. Asking is no use of it, and is not counted.
    pub fn contains(&self, key: &K) -> bool {
        self.shard(key).lock().places.contains_key(key)
    }

    /// Keeps `value`, evicting what is asked for least; one heavier than a shard is not kept at all.
    pub fn insert(&self, key: K, value: V, weight: u64) {
        self.shard(&key).lock().insert(key, value, weight);
    }

    /// Forgets `key`.
    pub fn remove(&self, key: &K) {
        self.shard(key).lock().remove(key);
    }

    /// Drops what is asked for least until the rest weighs a `part`th of the budget, which stays as it is: the cache may
    /// fill again.
    pub fn shrink(&self, part: u64) {
        self.shards.iter().for_each(|shard| shard.lock().shrink(part));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            *shard = Shard::new(shard.budget);
        }
    }

    /// Calls to `get` that found their key.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Calls to `get` that did not.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// What all entries weigh now, in bytes.
    pub fn used(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().used).sum()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shard<K, V> {
    fn new(budget: u64) -> Self {
        Self { budget, used: 0, places: HashMap::default(), entries: Vec::new(), vacant: Vec::new(), hand: 0 }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries[*self.places.get(key)?].as_mut().expect("places name entries");
        entry.touches = TOUCHES_MAX.min(entry.touches + 1);
        Some(entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        if weight > self.budget {
            return;
        }
        while self.used + weight > self.budget {
            self.evict();
        }
        let entry = Entry { key: key.clone(), value, weight, touches: 0 };
        let place = match self.vacant.pop() {
            Some(place) => place,
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        self.entries[place] = Some(entry);
        self.places.insert(key, place);
        self.used += weight;
    }

    fn remove(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.vacate(place);
        }
    }

    /// Moves the hand to the next entry without touches, and drops that one.
    fn evict(&mut self) {
        assert!(!self.places.is_empty(), "an empty shard has room for all that its budget allows");
        loop {
            let place = self.hand;
            self.hand = (place + 1) % self.entries.len();
            match &mut self.entries[place] {
                Some(entry) if entry.touches == 0 => {
                    self.places.remove(&entry.key);
                    return self.vacate(place);
                }
                Some(entry) => entry.touches -= 1,
                None => {}
            }
        }
    }

    fn shrink(&mut self, part: u64) {
        while self.used > self.budget / part {
            self.evict();
        }
        // The tables grew with what is gone.
        let mut old = std::mem::replace(self, Self::new(self.budget));
        for entry in old.entries.drain(..).flatten() {
            self.used += entry.weight;
            self.places.insert(entry.key.clone(), self.entries.len());
            self.entries.push(Some(entry));
        }
    }

    fn vacate(&mut self, place: usize) {
        let entry = self.entries[place].take().expect("places name entries");
        self.used -= entry.weight;
        self.vacant.push(place);
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hits, misses) = (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed));
        write!(f, "Cache of {} shards, {hits} hits, {misses} misses", self.shards.len())
    }
}

/// Mixes ids. They are ours, so nobody can choose them to collide, and it must be the same every run.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_exceeds_its_budget_nor_returns_an_old_value() {
        let mut seed = 1u64;
        let mut below = |limit| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % limit
        };
        for budget in [0, 1000, 8 << 20] {
            let cache = Cache::new(budget);
            let mut model = HashMap::new();
            let mut gets = 0;
            for step in 0..20_000u64 {
                let key = (below(200), below(3) as u32);
                match below(4) {
                    0 => {
                        let weight = below(60);
                        cache.insert(key, step, weight);
                        model.insert(key, step);
                    }
                    1 if below(10) == 0 => {
                        cache.remove(&key);
                        model.remove(&key);
                    }
                    _ => {
                        gets += 1;
                        let found = cache.get(&key);
                        assert!(found.is_none() || found == model.get(&key).copied());
                        assert!(budget < 8 << 20 || found == model.get(&key).copied(), "dropped without need");
                    }
                }
                assert!(cache.used() <= budget);
                if below(2000) == 0 {
                    cache.shrink(4);
                    assert!(cache.used() <= budget / 4);
                    // What was dropped is not known to the model.
                    model.retain(|key, _| budget < 8 << 20 || cache.contains(key));
                }
            }
            assert_eq!(cache.hits() + cache.misses(), gets);
            cache.clear();
            assert_eq!(cache.used(), 0);
        }
    }

    #[test]
    fn a_scan_does_not_wash_out_what_is_used() {
        let cache = Cache::new(100);
        (0..50).for_each(|key| cache.insert(key, key, 1));
        for scanned in 1000..3000 {
            let warm = scanned % 50;
            assert_eq!(cache.get(&warm), Some(warm), "at {scanned}");
            cache.insert(scanned, scanned, 1);
        }
    }

    #[test]
    fn shards_share_the_load() {
        let cache = Cache::new(16 << 20);
        (0..64_000u64).for_each(|key| cache.insert((key << 24, 0u32), (), 100));
        let least = cache.shards.iter().map(|shard| shard.lock().places.len()).min().unwrap();
        assert!(least > 3000, "{least} of 4000");
    }
}
