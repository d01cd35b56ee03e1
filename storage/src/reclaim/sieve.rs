//! Pointers that are looked for in dead lists, each with how often.
//!
//! Invariant: sorted, without repetition, and none is seen more often than it is wanted. A pointer takes 32 bytes.

use crate::format::{Birth, SlotId};
use crate::tree::Dead;

/// A pointer to a node or to one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// The node or extent.
    pub id: SlotId,
    /// When it was first written.
    pub birth: Birth,
    index: u8,
    is_node: bool,
}

impl Pointer {
    /// The same as an entry.
    pub fn dead(&self) -> Dead {
        let Self { id, birth, index, is_node } = *self;
        Dead { id, first: index, count: 1, birth, is_node }
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    pointer: Pointer,
    number: u32,
    seen: u32,
}

/// The pointers.
#[derive(Debug, Default)]
pub struct Sieve {
    wanted: Vec<Wanted>,
    /// How many are wanted and not seen yet.
    unseen: u64,
}

/// The pointers of an entry.
pub fn pointers(entry: &Dead) -> impl Iterator<Item = Pointer> {
    let Dead { id, first, count, birth, is_node } = *entry;
    (first..first + count).map(move |index| Pointer { id, birth, index, is_node })
}

impl Sieve {
    /// Wants all of these.
    pub fn new(mut pointers: Vec<Pointer>) -> Self {
        pointers.sort_unstable();
        let unseen = pointers.len() as u64;
        let mut wanted: Vec<Wanted> = Vec::new();
        for pointer in pointers {
            match wanted.last_mut() {
                Some(last) if last.pointer == pointer => last.number += 1,
                _ => wanted.push(Wanted { pointer, number: 1, seen: 0 }),
            }
        }
        Self { wanted, unseen }
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether all that is wanted was seen.
    pub fn is_full(&self) -> bool {
        self.unseen == 0
    }

    /// Sees an entry. Calls `split` with its parts: those that were wanted still, and others.
    pub fn see(&mut self, entry: &Dead, split: &mut dyn FnMut(Dead, bool)) {
        let mut part: Option<(Dead, bool)> = None;
        for pointer in pointers(entry) {
            let is_caught = self.catch(&pointer);
            match &mut part {
                Some((dead, caught)) if *caught == is_caught => dead.count += 1,
                _ => {
                    let next = (Dead { first: pointer.index, count: 1, ..*entry }, is_caught);
                    part.replace(next).into_iter().for_each(|(dead, caught)| split(dead, caught));
                }
            }
        }
        part.into_iter().for_each(|(dead, caught)| split(dead, caught));
    }

    fn catch(&mut self, pointer: &Pointer) -> bool {
        let Ok(at) = self.wanted.binary_search_by_key(pointer, |wanted| wanted.pointer) else { return false };
        let wanted = &mut self.wanted[at];
        let is_caught = wanted.seen < wanted.number;
        wanted.seen += u32::from(is_caught);
        self.unseen -= u64::from(is_caught);
        is_caught
    }

    /// From now on only those are wanted that were seen, as often as they were, and they are to be seen again.
    pub fn keep_seen(&mut self) {
        self.wanted.retain_mut(|wanted| {
            wanted.number = std::mem::take(&mut wanted.seen);
            wanted.number > 0
        });
        self.want_again();
    }

    /// All are to be seen again.
    pub fn want_again(&mut self) {
        self.wanted.iter_mut().for_each(|wanted| wanted.seen = 0);
        self.unseen = self.wanted.iter().map(|wanted| u64::from(wanted.number)).sum();
    }

    /// What is wanted, neighbours together.
    pub fn entries(&self) -> Vec<Dead> {
        let mut entries = Vec::new();
        let mut rest = &self.wanted[..];
        while let Some(first) = rest.first() {
            let Pointer { id, birth, index, is_node } = first.pointer;
            let next = |(number, wanted): &(usize, &Wanted)| {
                let expected = Pointer { id, birth, index: index + *number as u8, is_node };
                wanted.pointer == expected && wanted.number == first.number
            };
            let count = rest.iter().enumerate().take(usize::from(u8::MAX - index)).take_while(next).count().max(1);
            let entry = Dead { id, first: index, count: count as u8, birth, is_node };
            entries.extend((0..first.number).map(|_| entry));
            rest = &rest[count..];
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::SegmentId;

    #[test]
    fn what_two_have_in_common_is_the_smaller_number_of_each() {
        let entry = |slot, first, count, birth| Dead {
            id: SlotId::new(SegmentId(1), slot),
            first,
            count,
            birth: Birth(birth),
            is_node: false,
        };
        let one = [entry(1, 0, 8, 5), entry(1, 2, 2, 5), entry(2, 3, 1, 5), entry(2, 3, 1, 5), entry(3, 0, 32, 1)];
        let other = [entry(1, 3, 1, 5), entry(1, 0, 4, 5), entry(2, 3, 1, 6), entry(2, 3, 1, 5), entry(3, 30, 2, 1)];
        let mut sieve = Sieve::new(one.iter().flat_map(pointers).collect());
        let mut parts = Vec::new();
        other.iter().for_each(|entry| sieve.see(entry, &mut |dead, caught| parts.push((dead, caught))));
        assert_eq!(parts.iter().filter(|(_, caught)| !caught).count(), 1);
        assert!(!sieve.is_full());
        sieve.keep_seen();
        let common = [entry(1, 0, 3, 5), entry(1, 3, 1, 5), entry(1, 3, 1, 5), entry(2, 3, 1, 5), entry(3, 30, 2, 1)];
        assert_eq!(sieve.entries(), common);
        common.iter().for_each(|entry| sieve.see(entry, &mut |_, caught| assert!(caught)));
        assert!(sieve.is_full());
        sieve.see(&common[0], &mut |dead, caught| assert!(!caught && dead == common[0]));
    }
}
