//! Random histories, by seed, of a dataset, its clones and its branches: any two states are compared.

use crate::error::ErrorKind;
use crate::pool::diff::tests::listing::{Listing, check, list};
use crate::pool::diff::tests::world::{User, at, diff};

fn history(seed: u64) {
    let mut user = User::new(seed);
    let mut states: Vec<(String, Listing)> = Vec::new();
    for round in 0..12 {
        let steps = [2, 15, 60][user.below(3)];
        (0..steps).for_each(|_| user.step());
        let dataset = user.dataset();
        let (name, snapshot) = (format!("s{round}"), format!("{dataset}@s{round}"));
        user.pool.snapshot(&[(&dataset, &name)], at(user.time)).unwrap();
        states.push((snapshot.clone(), list(&*user.pool.file_system(&snapshot).unwrap())));
        for _ in 0..8 {
            let (one, other) = (user.below(states.len()), user.below(states.len()));
            let ((older, before), (newer, after)) = (&states[one], &states[other]);
            check(before, after, &diff(&user.pool, older, newer).unwrap());
        }
        // A head is compared as it is now, with what is only in memory.
        let head = user.dataset();
        (0..3).for_each(|_| user.step());
        let now = list(&*user.pool.file_system(&head).unwrap());
        let (older, before) = &states[user.below(states.len())];
        check(before, &now, &diff(&user.pool, older, &head).unwrap());
        check(&now, before, &diff(&user.pool, &head, older).unwrap());
        if user.below(3) == 0 {
            let from = states[user.below(states.len())].0.clone();
            user.branch(&from);
        }
    }
}

#[test]
fn differences_lead_from_any_state_to_any_other() {
    for seed in 0..30 {
        let done = std::panic::catch_unwind(|| history(seed));
        assert!(done.is_ok(), "seed {seed}");
    }
}

#[test]
fn what_never_was_one_is_not_compared() {
    let user = User::new(0);
    user.pool.create_dataset("other", &user.pool.dataset("d").unwrap().properties, at(1)).unwrap();
    assert_eq!(diff(&user.pool, "d", "other").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(diff(&user.pool, "d", "d@none").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(diff(&user.pool, "d", "d").unwrap(), []);
}

#[test]
fn whoever_has_seen_enough_is_told_no_more() {
    let mut user = User::new(3);
    user.pool.snapshot(&[("d", "empty")], at(user.time)).unwrap();
    (0..60).for_each(|_| user.step());
    let all = diff(&user.pool, "d@empty", "d").unwrap();
    for limit in 1..all.len() {
        let mut found = Vec::new();
        let mut take = |difference| {
            found.push(difference);
            found.len() < limit
        };
        user.pool.diff("d@empty", "d", &mut take).unwrap();
        assert_eq!(found, all[..limit]);
    }
}
