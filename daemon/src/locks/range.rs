//! Which bytes of a file.

/// Bytes of a file: from one on, to another or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    first: u64,
    /// [`FOREVER`] has no end.
    last: u64,
}

/// Stands for all that may yet come.
const FOREVER: u64 = u64::MAX;
/// The last byte that a file can have.
const LAST_BYTE: u64 = i64::MAX as u64;

impl Range {
    /// The whole file, however long it grows.
    pub const ALL: Self = Self { first: 0, last: FOREVER };

    /// `length` bytes from `first` on; zero is all bytes from there on. `None` beyond what a file can have.
    pub fn new(first: u64, length: u64) -> Option<Self> {
        let last = if length == 0 { FOREVER } else { first.checked_add(length - 1)? };
        Self::from_first_to_last(first, last)
    }

    /// The bytes from one to another, both included. The last that a file can have means for ever. `None` if there are none.
    pub fn from_first_to_last(first: u64, last: u64) -> Option<Self> {
        let last = if last >= LAST_BYTE { FOREVER } else { last };
        (first <= LAST_BYTE && first <= last).then_some(Self { first, last })
    }

    /// The first byte.
    pub fn first(self) -> u64 {
        self.first
    }

    /// The last byte; `u64::MAX` has no end.
    pub fn last(self) -> u64 {
        self.last
    }

    /// How many bytes; zero has no end.
    pub fn length(self) -> u64 {
        if self.last == FOREVER { 0 } else { self.last - self.first + 1 }
    }

    /// Whether a byte is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether both together are one range.
    pub fn touches(self, other: Self) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }

    /// Whether all bytes of `other` are in it.
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The smallest range with both in it.
    pub fn with(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// What is left before and after another range is taken out.
    pub fn without(self, other: Self) -> [Option<Self>; 2] {
        let before = other.first.checked_sub(1).filter(|&last| last >= self.first && self.overlaps(other));
        let after = other.last.checked_add(1).filter(|&first| first <= self.last && self.overlaps(other));
        let before = before.map(|last| Self { last, ..self });
        [before, after.map(|first| Self { first, ..self })]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_files_do() {
        assert_eq!(Range::new(0, 0), Some(Range::ALL));
        assert_eq!(Range::new(5, 0).map(|range| (range.first(), range.last(), range.length())), Some((5, u64::MAX, 0)));
        assert_eq!(Range::new(5, 3).map(|range| (range.first(), range.last(), range.length())), Some((5, 7, 3)));
        assert_eq!(Range::new(1, LAST_BYTE), Range::new(1, 0));
        assert_eq!(Range::new(LAST_BYTE, 1), Range::new(LAST_BYTE, 0));
        for (first, length) in [(u64::MAX, 2), (LAST_BYTE + 1, 0), (LAST_BYTE + 1, 1), (u64::MAX, 1)] {
            assert_eq!(Range::new(first, length), None, "{first} {length}");
        }
        assert_eq!(Range::from_first_to_last(3, 2), None);
    }

    #[test]
    fn what_is_left_and_what_is_joined_have_the_same_bytes() {
        let all = (0..6).flat_map(|first| (first..6).filter_map(move |last| Range::from_first_to_last(first, last)));
        let all: Vec<Range> = all.chain((0..6).filter_map(|first| Range::new(first, 0))).collect();
        let has = |range: Range, byte| range.first() <= byte && byte <= range.last();
        for (&one, &other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let (left, overlaps) = (one.without(other), (0..9).any(|byte| has(one, byte) && has(other, byte)));
            assert_eq!(one.overlaps(other), overlaps);
            assert_eq!(one.covers(other), (0..9).all(|byte| !has(other, byte) || has(one, byte)));
            let gap = (0..9).any(|byte| has(one.with(other), byte) && !has(one, byte) && !has(other, byte));
            assert_eq!(one.touches(other), !gap, "{one:?} {other:?}");
            if overlaps {
                for byte in 0..9 {
                    let is_left = left.iter().flatten().any(|&part| has(part, byte));
                    assert_eq!(is_left, has(one, byte) && !has(other, byte));
                }
            } else {
                assert_eq!(left, [None, None]);
            }
        }
    }
}
