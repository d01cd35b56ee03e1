//! Pins of commits, and errands that are over when their owner goes.

use std::sync::Arc;

use crate::executor::{Errands, share};
use crate::format::Birth;
use crate::media::Choices;
use crate::pool::epoch::Epoch;
use crate::pool::tests::threads::crowd::Crowd;
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// A root, and up to where what older ones reached was given back.
struct Roots {
    epoch: Arc<Epoch>,
    present: Mutex<u64>,
    given_back: AtomicU64,
}

/// What a root reaches is not given back while the root may be read, and is once nobody can.
#[test]
fn what_is_pinned_stays_and_what_is_not_goes() {
    in_many_orders(1000, |mut choices| {
        let roots = Roots { epoch: Epoch::new(Birth(1)), present: Mutex::new(1), given_back: AtomicU64::new(0) };
        let own = split(&mut choices, 3);
        thread::scope(|scope| {
            scope.spawn(|| publish(&roots));
            own.into_iter().for_each(|own| drop(scope.spawn(|| read(&roots, own))));
        });
        assert_eq!(roots.epoch.oldest(), roots.epoch.present(), "a pin was left behind");
    });
}

fn publish(roots: &Roots) {
    for birth in 2..7 {
        *roots.present.lock() = birth;
        roots.epoch.advance(Birth(birth));
        let oldest = roots.epoch.oldest();
        roots.given_back.store(oldest.0 - 1, Ordering::Release);
    }
}

fn read(roots: &Roots, mut choices: Choices) {
    let mut kept = Vec::new();
    for _ in 0..3 {
        let pin = roots.epoch.pin();
        let root = *roots.present.lock();
        kept.push((pin, root));
        if choices.below(2) == 0 {
            kept.swap_remove(choices.below(kept.len() as u64) as usize);
        }
        let given_back = roots.given_back.load(Ordering::Acquire);
        assert!(kept.iter().all(|(_, root)| *root > given_back), "what a reader has in use was given back");
    }
}

/// All jobs are done once, whoever takes part, and nobody uses what is shared after it was taken apart.
#[test]
fn shared_jobs_are_all_done_and_errands_end_before_their_owner() {
    in_many_orders(600, |choices| {
        let crowd = Crowd::new(choices);
        let runs = Arc::new(AtomicU64::new(0));
        let (counted, mut results) = (Arc::clone(&runs), Vec::new());
        let job = move |number| (number, counted.fetch_add(1, Ordering::Relaxed));
        share(&crowd, 5, job, |(number, _)| results.push(number));
        assert_eq!((results, runs.load(Ordering::Relaxed)), (vec![0, 1, 2, 3, 4], 5));
        let (errands, is_over) = (Errands::default(), Arc::new(AtomicBool::new(false)));
        for _ in 0..3 {
            let is_over = Arc::clone(&is_over);
            errands.offer(&crowd, move || {
                assert!(!is_over.load(Ordering::Acquire), "an errand began after all were to end");
            });
        }
        errands.close();
        is_over.store(true, Ordering::Release);
        crowd.join();
    });
}
