//! Who still reads which commit's roots.
//!
//! Invariant: [`Epoch::oldest`] is never later than a root that somebody reads, because a reader pins
//! the present commit before it takes a root, and the present only advances after roots are installed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::format::Birth;
use crate::sync::Mutex;

/// The present commit, and how many read it or one before.
pub struct Epoch {
    state: Mutex<State>,
}

struct State {
    present: Birth,
    pins: BTreeMap<Birth, usize>,
}

/// Keeps what a commit's roots reach from being given back, until it is dropped.
pub struct Pin {
    epoch: Arc<Epoch>,
    birth: Birth,
}

impl Epoch {
    /// Nobody reads yet.
    pub fn new(present: Birth) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { present, pins: BTreeMap::new() }) })
    }

    /// Pins the present commit: roots taken afterwards stay readable while the pin lives.
    pub fn pin(self: &Arc<Self>) -> Pin {
        let mut state = self.state.lock();
        let birth = state.present;
        *state.pins.entry(birth).or_default() += 1;
        Pin { epoch: Arc::clone(self), birth }
    }

    /// Makes a later commit the present one. Its roots are installed by now.
    pub fn advance(&self, to: Birth) {
        self.state.lock().present = to;
    }

    /// The last commit whose roots are installed.
    pub fn present(&self) -> Birth {
        self.state.lock().present
    }

    /// The oldest commit that is pinned, or the present one.
    pub fn oldest(&self) -> Birth {
        let state = self.state.lock();
        state.pins.keys().next().copied().unwrap_or(state.present)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.epoch.state.lock();
        if let Some(count) = state.pins.get_mut(&self.birth) {
            *count -= 1;
            if *count == 0 {
                state.pins.remove(&self.birth);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pin_holds_the_epoch_back() {
        let epoch = Epoch::new(Birth(4));
        let (first, again) = (epoch.pin(), epoch.pin());
        epoch.advance(Birth(5));
        let second = epoch.pin();
        epoch.advance(Birth(6));
        assert_eq!(epoch.oldest(), Birth(4));
        drop(first);
        assert_eq!(epoch.oldest(), Birth(4));
        drop(again);
        assert_eq!(epoch.oldest(), Birth(5));
        drop(second);
        assert_eq!(epoch.oldest(), Birth(6));
    }
}
