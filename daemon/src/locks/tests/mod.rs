//! The table beside a model of bytes; and its bounds.

mod history;

use std::net::IpAddr;
use std::sync::Arc;

use cow_storage::format::{DatasetId, InodeNumber};
use parking_lot::Mutex;

use crate::locks::{Claim, Client, End, File, Kind, Limits, Locks, Outcome, Owner, Range, Wait, Waiter};

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<(Claim, End)>>);

impl Waiter for Told {
    fn ended(&self, claim: &Claim, end: End) {
        self.0.lock().push((claim.clone(), end));
    }
}

fn client(number: u8) -> Client {
    Client { address: Some(IpAddr::from([10, 0, 0, number])), name: format!("client-{number}") }
}

fn claim(file: u64, of: u8, number: u64, range: Range, kind: Kind) -> Claim {
    let file = File { dataset: DatasetId(file), snapshot: None, inode: InodeNumber(7) };
    Claim {
        file,
        owner: Owner { client: Arc::new(client(of)), number },
        range,
        kind,
        process: 1,
        handle: Arc::from([]),
    }
}

fn until(told: &Arc<Told>) -> Wait {
    Wait::Until { number: 0, waiter: told.clone() }
}

fn bytes(first: u64, length: u64) -> Range {
    Range::new(first, length).unwrap()
}

#[test]
fn a_circle_of_waits_is_refused() {
    let (locks, told) = (Locks::default(), Arc::new(Told::default()));
    let of = |file, of| claim(file, of, 1, Range::ALL, Kind::Exclusive);
    for (file, owner) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(locks.lock(of(file, owner), until(&told)), Outcome::Granted);
    }
    assert_eq!(locks.lock(of(2, 1), until(&told)), Outcome::Waiting);
    assert_eq!(locks.lock(of(3, 2), until(&told)), Outcome::Waiting);
    assert_eq!(locks.lock(of(1, 3), until(&told)), Outcome::Deadlock);
    assert_eq!(locks.lock(of(1, 3), Wait::No), Outcome::Denied(Box::new(of(1, 1))));
    assert_eq!(locks.release_client(&client(3)), 1);
    assert_eq!(*told.0.lock(), [(of(3, 2), End::Granted)]);
}

#[test]
fn who_asks_again_waits_once_and_two_who_ask_for_the_same_are_both_told() {
    let (locks, told) = (Locks::default(), Arc::new(Told::default()));
    let [first, second] = [1, 2].map(|of| claim(1, of, 1, bytes(5, 5), Kind::Exclusive));
    assert_eq!(locks.lock(first.clone(), Wait::No), Outcome::Granted);
    for _ in 0..3 {
        assert_eq!(locks.lock(second.clone(), until(&told)), Outcome::Waiting);
    }
    assert_eq!(locks.lock(second.clone(), Wait::Until { number: 1, waiter: told.clone() }), Outcome::Waiting);
    assert_eq!(locks.counters().waiting, 2);
    assert_eq!(locks.unlock(first.file, &first.owner, Range::ALL), Outcome::Granted);
    assert_eq!(told.0.lock().len(), 2);
    assert!(!locks.cancel(&second, 0));
    assert_eq!(locks.lock(second.clone(), until(&told)), Outcome::Granted);
    assert_eq!((locks.list(None).len(), told.0.lock().len()), (1, 2));
}

#[test]
fn grace_lets_only_those_take_back_who_held() {
    let locks = Locks::default();
    let of = |of| claim(1, of, 1, bytes(0, 10), Kind::Exclusive);
    assert_eq!(locks.reclaim(of(1)), Outcome::Grace);
    locks.begin_grace([client(1), client(2)]);
    assert_eq!(locks.reclaim(of(3)), Outcome::Grace);
    assert_eq!(locks.lock(of(1), Wait::No), Outcome::Grace);
    assert_eq!(locks.test(&of(3)), Outcome::Grace);
    assert_eq!(locks.reclaim(of(1)), Outcome::Granted);
    assert_eq!(locks.reclaim(of(1)), Outcome::Granted);
    assert_eq!(locks.reclaim(of(2)), Outcome::Denied(Box::new(of(1))));
    locks.expect_no_more(&client(2));
    assert_eq!(locks.grace(), Some(vec![client(1)]));
    locks.expect_no_more(&client(1));
    assert_eq!((locks.grace(), locks.counters().reclaimed), (None, 2));
    assert_eq!(locks.lock(of(3), Wait::No), Outcome::Denied(Box::new(of(1))));
    locks.begin_grace([]);
    assert_eq!(locks.grace(), None);
    locks.begin_grace([client(3)]);
    locks.end_grace();
    assert_eq!(locks.reclaim(of(3)), Outcome::Grace);
}

#[test]
fn what_clients_take_is_bounded() {
    let limits = Limits { locks: 40, locks_per_client: 20, clients: 3 };
    let (locks, told) = (Locks::new(limits), Arc::new(Told::default()));
    for of in 1..=9 {
        for number in 0..100 {
            let wanted = claim(number % 3, of, number, bytes(number * 2, 1), Kind::Exclusive);
            locks.lock(wanted, if number % 2 == 0 { Wait::No } else { until(&told) });
            // What one has, it cannot cut into more.
            let whole = claim(9, of, 1, bytes(0, 1000), Kind::Shared);
            locks.lock(whole.clone(), Wait::No);
            locks.unlock(whole.file, &whole.owner, bytes(number * 2, 1));
            let counters = locks.counters();
            assert!(counters.held + counters.waiting <= 40 && counters.clients <= 3);
            assert!(locks.clients().iter().all(|of| of.held + of.waiting <= 20));
        }
    }
    assert!(locks.counters().full > 100);
    let long = Claim { handle: vec![0; 300].into(), ..claim(1, 1, 1, bytes(0, 1), Kind::Shared) };
    assert_eq!(locks.lock(long, Wait::No), Outcome::Full);
    for of in 1..=9 {
        locks.release_client(&client(of));
    }
    let counters = locks.counters();
    assert_eq!((counters.held, counters.waiting, counters.clients, locks.list(None).len()), (0, 0, 0, 0));
}
