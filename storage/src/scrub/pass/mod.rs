//! A pass of scrubbing over all that is stored: where it is, and what it came upon so far.
//!
//! Invariant: what lies before `next` was read and checked since the pass began, and what is wrong with it is counted.

mod codec;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod items;

use std::sync::Arc;

use crate::format::{SlotId, Timestamp};
use crate::scrub::report::Damage;

#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::TARGETS;
pub use items::{edits, load};

/// Most damage of a pass that is kept; what is beyond is counted.
pub const LISTED_MAX: usize = 1000;
/// Most bytes of it, about.
const LISTED_LEN_MAX: usize = 1 << 20;
/// Most bytes of a text in it.
const TEXT_LEN_MAX: usize = 16 << 10;

/// How a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassState {
    /// It goes on with each step.
    Running,
    /// It waits to be started again.
    Paused,
    /// It came to its end.
    Finished,
    /// It was ended before that.
    Cancelled,
}

/// The pass that is under way, or was last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// How it is.
    pub state: PassState,
    /// When it began.
    pub begun: Timestamp,
    /// Since when it is as it is.
    pub since: Timestamp,
    /// Where it goes on.
    pub next: SlotId,
    /// Extents and nodes from here on were first written after it began: the next pass reads them.
    pub end: SlotId,
    /// Stored bytes that there were when it began.
    pub total: u64,
    /// Stored bytes read.
    pub bytes: u64,
    /// Extents and nodes read.
    pub objects: u64,
    /// How much damage was found: what hits several files counts for each.
    pub found: u64,
    /// The first of it: at most [`LISTED_MAX`].
    pub damage: Arc<Vec<Damage>>,
    /// The last pass that came to its end: this one, or one before it.
    pub last: Option<LastPass>,
}

/// A pass that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPass {
    /// When.
    pub ended: Timestamp,
    /// How much damage it had found.
    pub found: u64,
}

impl Pass {
    /// A pass that begins now, after `last`.
    pub fn begin(end: SlotId, total: u64, last: Option<LastPass>, now: Timestamp) -> Self {
        Self {
            state: PassState::Running,
            begun: now,
            since: now,
            next: SlotId(0),
            end,
            total,
            bytes: 0,
            objects: 0,
            found: 0,
            damage: Arc::default(),
            last,
        }
    }

    /// Whether it has not ended.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, PassState::Running | PassState::Paused)
    }

    /// It is like this from now on.
    pub fn set(&mut self, state: PassState, now: Timestamp) {
        (self.state, self.since) = (state, now);
        if state == PassState::Finished {
            self.last = Some(LastPass { ended: now, found: self.found });
        }
    }

    /// Notes damage, as far as there is place for it.
    pub fn note(&mut self, damage: &[Damage]) {
        self.found += damage.len() as u64;
        let listed = Arc::make_mut(&mut self.damage);
        let mut length: usize = listed.iter().map(codec::damage_len_max).sum();
        for damage in damage {
            let damage = shortened(damage);
            length += codec::damage_len_max(&damage);
            if listed.len() >= LISTED_MAX || length > LISTED_LEN_MAX {
                return;
            }
            listed.push(damage);
        }
    }
}

/// The same with texts that are not too long.
fn shortened(damage: &Damage) -> Damage {
    let short = |text: &String| text[..text.floor_char_boundary(TEXT_LEN_MAX)].to_owned();
    Damage {
        dataset: damage.dataset.as_ref().map(short),
        path: damage.path.as_ref().map(short),
        offset: damage.offset,
        problem: short(&damage.problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_listed_than_there_is_place_for() {
        let small = Damage::of_the_pool("p".to_owned());
        let large = Damage { path: Some("é".repeat(TEXT_LEN_MAX)), ..small.clone() };
        for (damage, listed) in [(small, LISTED_MAX), (large, LISTED_LEN_MAX / TEXT_LEN_MAX - 1)] {
            let mut pass = Pass::begin(SlotId(9), 9, None, Timestamp::default());
            for round in 1..=40 {
                pass.note(&vec![damage.clone(); 30]);
                assert_eq!((pass.found, pass.damage.len()), (30 * round, listed.min(30 * round as usize)));
            }
            assert!(
                pass.damage.iter().all(|damage| damage.path.as_ref().is_none_or(|path| path.len() <= TEXT_LEN_MAX))
            );
        }
    }
}
