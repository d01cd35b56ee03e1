//! Which steps a history takes: all that its seed has, or those that a failure needs.
//!
//! Invariant: what a step draws depends on the seed and its number alone, so leaving others out does not change what it
//! tries. It means what the model allows at that moment, so any choice of steps is a history.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A seed, and the numbers of steps, which ascend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What all draws come from.
    pub seed: u64,
    /// The steps, ascending.
    pub steps: Vec<u64>,
}

impl Program {
    /// The first `count` steps of a seed.
    pub fn new(seed: u64, count: u64) -> Self {
        Self { seed, steps: (1..=count).collect() }
    }

    /// A shorter program that fails as well, after at most `tries` runs: pieces are left out, large ones first, until no
    /// step can be.
    #[must_use]
    pub fn shrink(mut self, tries: usize, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut left = tries;
        let mut piece = self.steps.len().div_ceil(2).max(1);
        loop {
            let before = self.steps.len();
            let mut at = self.steps.len();
            while at > 0 && left > 0 {
                let from = at.saturating_sub(piece);
                let mut shorter = self.clone();
                shorter.steps.drain(from..at);
                left -= 1;
                if fails(&shorter) {
                    self = shorter;
                }
                at = from;
            }
            if left == 0 || (piece == 1 && self.steps.len() == before) {
                return self;
            }
            piece = piece.div_ceil(2);
        }
    }

    fn ranges(&self) -> Vec<RangeInclusive<u64>> {
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for step in &self.steps {
            match ranges.last_mut() {
                Some(last) if last.end() + 1 == *step => *last = *last.start()..=*step,
                _ => ranges.push(*step..=*step),
            }
        }
        ranges
    }
}

/// As `seed:1-7,12,40-41`.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.seed)?;
        for (at, range) in self.ranges().into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not like 12:1-7,30");
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
        let (seed, list) = text.split_once(':').ok_or_else(bad)?;
        let mut steps = Vec::new();
        for part in list.split(',').filter(|part| !part.is_empty()) {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            steps.extend(number(from)?..=number(to)?);
        }
        if !steps.is_sorted_by(|one, other| one < other) {
            return Err(bad());
        }
        Ok(Self { seed: number(seed)?, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_as_they_are_written() {
        for text in ["7:", "7:1", "7:1-3", "7:1-3,9,11-12"] {
            assert_eq!(text.parse::<Program>().unwrap().to_string(), text);
        }
        for text in ["", "7", "7:x", "7:3-1,2", "7:2,1", "7:1,1"] {
            let read = text.parse::<Program>();
            assert!(read.is_err() || read.unwrap().steps == [2], "{text}");
        }
    }

    #[test]
    fn what_a_failure_needs_is_what_is_left() {
        for needed in [vec![], vec![1], vec![800], vec![3, 400, 401], vec![1, 2, 799, 800], (100..140).collect()] {
            let fails = |program: &Program| needed.iter().all(|step| program.steps.contains(step));
            assert_eq!(Program::new(1, 800).shrink(5000, fails).steps, needed);
        }
        let mut runs = 0;
        let cut_short = Program::new(1, 800).shrink(10, |program| {
            runs += 1;
            program.steps.contains(&800)
        });
        assert!(runs == 10 && cut_short.steps.contains(&800));
    }
}
