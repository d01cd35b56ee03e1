//! What a background thread waits at: for a time, until it is rung for, or until it shall end.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// What threads wait at. Any number may.
#[derive(Default)]
pub struct Bell {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    stop: bool,
    rung: bool,
}

impl Bell {
    /// Ends the wait of one that heeds it, now or when it waits next.
    pub fn ring(&self) {
        self.orders.lock().rung = true;
        self.changed.notify_all();
    }

    /// Tells all threads to end.
    pub fn stop(&self) {
        self.orders.lock().stop = true;
        self.changed.notify_all();
    }

    /// Waits for some time. Returns false once the thread shall end.
    pub fn sleep(&self, time: Duration) -> bool {
        self.wait(time, |_| false)
    }

    /// The same, and no longer than until somebody rings.
    pub fn rest(&self, time: Duration) -> bool {
        self.wait(time, |orders| std::mem::take(&mut orders.rung))
    }

    fn wait(&self, time: Duration, mut woken: impl FnMut(&mut Orders) -> bool) -> bool {
        let until = Instant::now() + time;
        let mut orders = self.orders.lock();
        loop {
            if orders.stop {
                return false;
            }
            if woken(&mut orders) || self.changed.wait_until(&mut orders, until).timed_out() {
                return !orders.stop;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_a_wait_once_and_all_for_good() {
        let (bell, long) = (Bell::default(), Duration::from_secs(60));
        let began = Instant::now();
        assert!(bell.sleep(Duration::from_millis(20)) && began.elapsed() >= Duration::from_millis(20));
        bell.ring();
        assert!(bell.sleep(Duration::ZERO), "a sleeper does not hear it");
        assert!(bell.rest(long));
        std::thread::scope(|scope| {
            let waits = [scope.spawn(|| bell.rest(long)), scope.spawn(|| bell.sleep(long))];
            bell.stop();
            assert!(waits.into_iter().all(|wait| !wait.join().unwrap()));
        });
        assert!(!bell.rest(long) && !bell.sleep(long) && began.elapsed() < long);
    }
}
