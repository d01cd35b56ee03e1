//! A set of numbers as ranges.
//!
//! Invariant: ranges are not empty, and between any two lies a number that is in neither.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers below `u64::MAX` that takes memory for each range, not for each number.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RangeSet {
    /// End by start.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: BTreeMap::new() }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ranges it has.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Adds a range, parts of which may be there.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut united = range.clone();
        // Ranges that only touch are united too.
        while let Some((&start, &end)) = self.ranges.range(..=united.end).next_back() {
            if end < united.start {
                break;
            }
            self.ranges.remove(&start);
            united = united.start.min(start)..united.end.max(end);
        }
        self.ranges.insert(united.start, united.end);
    }

    /// Removes a range, parts of which may be absent.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&start, &end)) = self.ranges.range(..range.end).next_back() {
            if end <= range.start {
                break;
            }
            self.ranges.remove(&start);
            if range.end < end {
                self.ranges.insert(range.end, end);
            }
            if start < range.start {
                self.ranges.insert(start, range.start);
            }
        }
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| *end > number)
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    /// The parts of the set that lie within `bounds`, in order.
    pub fn within(&self, bounds: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let reaching_in = self.ranges.range(..bounds.start).next_back().map(|(start, end)| (*start, *end));
        let inside = if bounds.is_empty() { None } else { Some(self.ranges.range(bounds.clone())) };
        let inside = inside.into_iter().flatten().map(|(start, end)| (*start, *end));
        let clip = move |(start, end): (u64, u64)| start.max(bounds.start)..end.min(bounds.end);
        reaching_in.into_iter().chain(inside).map(clip).filter(|range| !range.is_empty())
    }

    /// The first number from `at` on that is in it.
    pub fn next_covered(&self, at: u64) -> Option<u64> {
        if self.contains(at) { Some(at) } else { self.ranges.range(at..).next().map(|(start, _)| *start) }
    }

    /// The first number from `at` on that is not in it.
    pub fn next_gap(&self, at: u64) -> u64 {
        match self.ranges.range(..=at).next_back() {
            Some((_, &end)) if end > at => end,
            _ => at,
        }
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Choices;

    const LIMIT: u64 = 40;

    #[test]
    fn agrees_with_a_plain_set() {
        let mut choices = Choices::new(1);
        for _ in 0..200 {
            let mut set = RangeSet::new();
            let mut model = [false; LIMIT as usize];
            for _ in 0..60 {
                let (start, end) = (choices.below(LIMIT + 1), choices.below(LIMIT + 1));
                let add = choices.below(2) == 0;
                if add {
                    set.insert(start..end)
                } else {
                    set.remove(start..end)
                }
                (start..end).for_each(|number| model[number as usize] = add);
                check(&set, &model, start..end);
            }
        }
    }

    fn check(set: &RangeSet, model: &[bool], bounds: Range<u64>) {
        let has = |number: u64| model.get(number as usize).copied().unwrap_or(false);
        let numbers = |ranges: Vec<Range<u64>>| ranges.into_iter().flatten().collect::<Vec<_>>();
        let covered = |within: Range<u64>| within.filter(|number| has(*number)).collect::<Vec<_>>();
        assert_eq!(numbers(set.iter().collect()), covered(0..LIMIT));
        assert_eq!(numbers(set.within(bounds.clone()).collect()), covered(bounds));
        assert_eq!(set.count(), covered(0..LIMIT).len() as u64);
        assert_eq!(set.is_empty(), set.count() == 0);
        let edges = (0..LIMIT).filter(|number| has(*number) && !has(number + 1)).count();
        assert_eq!(set.len(), edges, "touching ranges are one");
        for number in 0..=LIMIT {
            assert_eq!(set.contains(number), has(number));
            assert_eq!(set.next_covered(number), (number..LIMIT).find(|number| has(*number)));
            assert_eq!(set.next_gap(number), (number..).find(|number| !has(*number)).unwrap());
        }
    }
}
