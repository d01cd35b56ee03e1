//! What is kept to be used again: values by key, and memory.

use crate::cache::Cache;
use crate::media::{BufferPool, Choices};
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};

const BUDGET: u64 = 100;

/// Whoever asks for a key gets a value of that key or none, and never one that was replaced before he asked.
#[test]
fn a_cache_gives_what_belongs_to_the_key_and_stays_within_its_budget() {
    in_many_orders(1000, |mut choices| {
        let cache = Cache::new(BUDGET);
        let own = split(&mut choices, 3);
        let gets: u64 = thread::scope(|scope| {
            let (cache, own) = (&cache, (0..).zip(own));
            let threads: Vec<_> = own.map(|(number, own)| scope.spawn(move || use_cache(cache, number, own))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(cache.hits() + cache.misses(), gets);
        cache.clear();
        assert_eq!(cache.used(), 0);
    });
}

/// Each thread writes keys of its own and reads those of all. Returns how often it asked.
fn use_cache(cache: &Cache<(u64, u64), (u64, u64, u64)>, thread: u64, mut choices: Choices) -> u64 {
    let (mut latest, mut gets) = ([None; 3], 0);
    for step in 0..8 {
        let at = choices.below(3);
        match choices.below(8) {
            0..3 => {
                cache.insert((thread, at), (thread, at, step), 10 + choices.below(30));
                latest[at as usize] = Some(step);
            }
            3 => {
                cache.remove(&(thread, at));
                latest[at as usize] = None;
            }
            4 => cache.shrink(2),
            _ => {
                let (owner, at) = (choices.below(3), choices.below(3));
                let found = cache.get(&(owner, at));
                gets += 1;
                assert!(found.is_none_or(|found| (found.0, found.1) == (owner, at)), "another key's value");
                let own = found.filter(|_| owner == thread).map(|found| found.2);
                assert!(own.is_none_or(|step| latest[at as usize] == Some(step)), "an old value");
            }
        }
        assert!(cache.used() <= BUDGET);
    }
    gets
}

/// Nobody else has a buffer that is on loan, and what comes back is kept up to the cap.
#[test]
fn a_buffer_on_loan_is_one_borrowers_alone() {
    const CAP: usize = 3 * 4096;
    in_many_orders(1000, |mut choices| {
        let pool = BufferPool::new(CAP);
        let own = split(&mut choices, 3);
        thread::scope(|scope| {
            for (number, mut choices) in (1..).zip(own) {
                let pool = &pool;
                scope.spawn(move || {
                    let mut borrowed = Vec::new();
                    for _ in 0..6 {
                        match choices.below(3) {
                            0 if !borrowed.is_empty() => drop(borrowed.swap_remove(0)),
                            1 if choices.below(4) == 0 => pool.release(),
                            _ => {
                                let mut buffer = pool.take(1 + choices.below(8000) as usize);
                                buffer.fill(number);
                                borrowed.push(buffer);
                            }
                        }
                        assert!(borrowed.iter().all(|buffer| buffer.iter().all(|byte| *byte == number)));
                        assert!(pool.idle_len() <= CAP);
                    }
                });
            }
        });
        pool.release();
        assert_eq!(pool.idle_len(), 0);
    });
}
