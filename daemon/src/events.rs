//! What happens, told to whoever listens.
//!
//! Invariant: listeners cost nothing but their position: the last events are kept once for all, and one who is too
//! slow is told that it missed some, instead of holding anybody up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cow_api::v1::{Event, Happening};
use parking_lot::{Condvar, Mutex};

use crate::clock;

/// Events kept for listeners that are behind, or come back.
const KEPT_MAX: usize = 1024;

/// All that happened lately.
#[derive(Default)]
pub struct Events {
    recent: Mutex<Recent>,
    changed: Condvar,
}

#[derive(Default)]
struct Recent {
    /// The newest has the number `count`.
    kept: VecDeque<Arc<Event>>,
    count: u64,
    is_closed: bool,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event.
    Event(Arc<Event>),
    /// That this many were missed.
    Missed(u64),
    /// Nothing for as long as it waited.
    Nothing,
    /// That there will be no more.
    Closed,
}

impl Events {
    /// Tells everybody.
    pub fn publish(&self, happening: Happening) {
        let at = clock::time(clock::now());
        let mut recent = self.recent.lock();
        recent.count += 1;
        let event = Event { number: recent.count, at, happening };
        recent.kept.push_back(Arc::new(event));
        if recent.kept.len() > KEPT_MAX {
            recent.kept.pop_front();
        }
        self.changed.notify_all();
    }

    /// The number of the newest event, 0 before the first: where a new listener begins.
    pub fn newest(&self) -> u64 {
        self.recent.lock().count
    }

    /// Waits for the event after number `heard`, and moves `heard` on.
    pub fn next(&self, heard: &mut u64, patience: Duration) -> Heard {
        let until = Instant::now() + patience;
        let mut recent = self.recent.lock();
        loop {
            // A number from before a restart is none of ours: begin with what comes.
            *heard = (*heard).min(recent.count);
            if let Some(found) = recent.after(heard) {
                return found;
            }
            if recent.is_closed {
                return Heard::Closed;
            }
            if self.changed.wait_until(&mut recent, until).timed_out() {
                return Heard::Nothing;
            }
        }
    }

    /// Ends the wait of all listeners, for good.
    pub fn close(&self) {
        self.recent.lock().is_closed = true;
        self.changed.notify_all();
    }
}

impl Recent {
    fn after(&self, heard: &mut u64) -> Option<Heard> {
        let oldest = self.count - self.kept.len() as u64 + 1;
        if *heard + 1 < oldest {
            let missed = oldest - 1 - *heard;
            *heard = oldest - 1;
            return Some(Heard::Missed(missed));
        }
        let event = self.kept.get((*heard + 1 - oldest) as usize)?;
        *heard += 1;
        Some(Heard::Event(event.clone()))
    }
}

#[cfg(test)]
mod tests {
    use cow_api::v1::Change;

    use super::*;

    fn publish(events: &Events, number: u64) {
        events.publish(Happening::Dataset { name: number.to_string(), change: Change::Created });
    }

    #[test]
    fn a_listener_hears_all_in_order_or_how_many_it_missed() {
        let events = Events::default();
        let mut heard = events.newest();
        assert_eq!(events.next(&mut heard, Duration::ZERO), Heard::Nothing);
        let mut number = 0;
        for lag in [1, 2, KEPT_MAX - 1, KEPT_MAX, KEPT_MAX + 1, 3 * KEPT_MAX, 1] {
            for _ in 0..lag {
                number += 1;
                publish(&events, number);
            }
            let missed = lag.saturating_sub(KEPT_MAX) as u64;
            if missed > 0 {
                assert_eq!(events.next(&mut heard, Duration::ZERO), Heard::Missed(missed));
            }
            for expected in number - lag as u64 + missed + 1..=number {
                let Heard::Event(event) = events.next(&mut heard, Duration::ZERO) else { panic!("{expected}") };
                assert_eq!(event.number, expected);
            }
            assert_eq!(events.next(&mut heard, Duration::ZERO), Heard::Nothing);
        }
        // Somebody from before a restart.
        let mut heard = number + 500;
        assert_eq!(events.next(&mut heard, Duration::ZERO), Heard::Nothing);
        publish(&events, number + 1);
        assert!(matches!(events.next(&mut heard, Duration::ZERO), Heard::Event(_)));
    }

    #[test]
    fn listeners_wake_for_events_and_for_the_end() {
        let events = Events::default();
        std::thread::scope(|scope| {
            let listeners: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut heard = 0;
                        let first = events.next(&mut heard, Duration::from_secs(60));
                        (first, events.next(&mut heard, Duration::from_secs(60)))
                    })
                })
                .collect();
            publish(&events, 1);
            events.close();
            for listener in listeners {
                let (first, second) = listener.join().unwrap();
                assert!(matches!(first, Heard::Event(_)));
                assert_eq!(second, Heard::Closed);
            }
        });
    }
}
