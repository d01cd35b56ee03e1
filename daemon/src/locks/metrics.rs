//! What the table tells to Prometheus.

use crate::locks::Counters;
use crate::metrics::Page;

impl Counters {
    /// Tells it all.
    pub fn publish(&self, page: &mut Page) {
        for (name, help, value) in [
            ("cow_locks_granted_total", "Locks granted, also to those that waited.", self.granted),
            ("cow_locks_denied_total", "Requests denied as another held the lock.", self.denied),
            ("cow_locks_waited_total", "Requests that had to wait.", self.waited),
            ("cow_locks_deadlocks_total", "Requests denied as they would have waited for themselves.", self.deadlocks),
            ("cow_locks_full_total", "Requests denied as there were too many locks.", self.full),
            ("cow_locks_grace_denied_total", "Requests denied for the time after a restart.", self.in_grace_denied),
            ("cow_locks_reclaimed_total", "Locks that clients took back after a restart.", self.reclaimed),
        ] {
            page.counter(name, help, value);
        }
        page.gauge("cow_locks_held", "Locks held.", self.held as u64);
        page.gauge("cow_locks_waiting", "Requests that wait for a lock.", self.waiting as u64);
        page.gauge("cow_locks_clients", "Clients that hold locks or wait for some.", self.clients as u64);
        let help = "1 while only locks from before the restart are granted.";
        page.gauge("cow_locks_grace", help, u64::from(self.in_grace));
    }
}
