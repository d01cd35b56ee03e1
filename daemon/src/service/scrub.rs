//! Scrubbing: starts, pauses and ends it, and tells how far it is and what it found.

use cow_api::v1::{Code, Problem, Scrub, StartScrub};

use crate::scrubbing::Order;
use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// How far scrubbing is, and what it found.
    pub fn scrub(&self) -> Scrub {
        self.parts.scrubber.shown()
    }

    /// Begins a pass, or goes on with the one that is paused.
    pub fn start_scrub(&self, request: &StartScrub) -> Answer<Scrub> {
        self.order(Order::Start { anew: request.anew }, "'cowctl scrub start --anew' begins again at the beginning")
    }

    /// Has the pass wait.
    pub fn pause_scrub(&self) -> Answer<Scrub> {
        self.order(Order::Pause, "'cowctl scrub start' begins one, or goes on with it")
    }

    /// Ends the pass where it is.
    pub fn cancel_scrub(&self) -> Answer<Scrub> {
        self.order(Order::Cancel, "'cowctl scrub start' begins one")
    }

    fn order(&self, order: Order, hint: &str) -> Answer<Scrub> {
        let told = |found: Problem| if found.code == Code::Conflict { found.with_hint(hint) } else { found };
        self.parts.scrubber.order(order).map_err(|error| told(problem(error)))?;
        Ok(self.scrub())
    }
}
