//! Locks that stand against each other, and those who wait.

use cow_tests::nlm_client::{Called, Lock, LockClient, Manners, stat};

use crate::{LONG, SHORT, World};

#[test]
fn locks_of_two_clients_stand_against_each_other_as_on_one_host() {
    let world = World::new();
    let (mut one, mut two) = (world.client(2), world.client(3));
    let ranges = [(0, 10), (5, 10), (9, 1), (10, 10), (0, 0), (10, 0), (100, 0)];
    for ((held, asked), exclusive) in pairs(&ranges).flat_map(|pair| [0, 1, 2, 3].map(|exclusive| (pair, exclusive))) {
        let held = Lock::all(&world.file, 7, exclusive & 1 != 0).bytes(held.0, held.1);
        let asked = Lock::all(&world.file, 7, exclusive & 2 != 0).bytes(asked.0, asked.1);
        let end = |lock: &Lock| if lock.length == 0 { u64::MAX } else { lock.offset + lock.length };
        let overlap = held.offset < end(&asked) && asked.offset < end(&held);
        let expected = if overlap && exclusive != 0 { stat::DENIED } else { stat::GRANTED };
        assert_eq!(one.lock(&held), stat::GRANTED);
        let holder = (held.exclusive, 7, b"7@client-2".to_vec(), held.offset, held.length);
        let test = if expected == stat::DENIED { Ok(holder) } else { Err(stat::GRANTED) };
        assert_eq!(two.test(&asked), test, "{held:?} {asked:?}");
        assert_eq!(two.lock(&asked), expected, "{held:?} {asked:?}");
        two.unlock(&asked);
        // The same process does not stand against itself; another of the same client does.
        assert_eq!(one.test(&asked), Err(stat::GRANTED));
        assert_eq!(one.lock(&Lock { process: 8, ..asked.clone() }), expected);
        for process in [7, 8] {
            assert_eq!(one.unlock(&Lock::all(&world.file, process, true)), stat::GRANTED);
        }
        assert_eq!(world.locks.counters().held, 0);
    }
}

fn pairs<T: Copy>(all: &[T]) -> impl Iterator<Item = (T, T)> {
    all.iter().flat_map(move |one| all.iter().map(move |other| (*one, *other)))
}

/// Fails unless the client at an address is told that it has a lock now.
#[track_caller]
fn is_called(world: &World, own: u8, lock: &Lock) {
    let called = Called::Granted { name: format!("client-{own}"), lock: lock.clone() };
    assert_eq!(world.lockd.next(LONG), Some((own, called)));
}

#[test]
fn who_waits_is_called_in_turn() {
    let world = World::new();
    let mut clients: Vec<LockClient> = (2..6).map(|own| world.client(own)).collect();
    let lock = Lock::all(&world.file, 7, true).bytes(3, 4);
    assert_eq!(clients[0].wait(&lock), stat::GRANTED);
    for client in &mut clients[1..] {
        assert_eq!(client.wait(&lock), stat::BLOCKED);
        // Clients ask again, lest the call was lost.
        assert_eq!(client.wait(&lock), stat::BLOCKED);
    }
    assert_eq!(world.locks.counters().waiting, 3);
    for at in 0..3 {
        assert_eq!(clients[at].unlock(&lock), stat::GRANTED);
        is_called(&world, at as u8 + 3, &lock);
        assert_eq!(clients[at].lock(&lock), stat::DENIED);
        assert_eq!(clients[at + 1].wait(&lock), stat::GRANTED);
    }
    assert_eq!(world.lockd.next(SHORT), None);
    assert_eq!(clients[3].unlock(&lock), stat::GRANTED);
    assert_eq!((world.locks.counters().held, world.locks.counters().waiting), (0, 0));
}

#[test]
fn who_no_longer_waits_gets_nothing() {
    let world = World::new();
    let (mut one, mut two, mut three) = (world.client(2), world.client(3), world.client(4));
    let lock = Lock::all(&world.file, 7, true);
    assert_eq!(one.lock(&lock), stat::GRANTED);
    assert_eq!((two.wait(&lock), three.wait(&lock)), (stat::BLOCKED, stat::BLOCKED));
    assert_eq!((two.cancel(&lock), two.cancel(&lock)), (stat::GRANTED, stat::DENIED));
    assert_eq!(one.unlock(&lock), stat::GRANTED);
    is_called(&world, 4, &lock);
    // A wait that was cancelled while the call was on its way: the lock is not left to nobody.
    world.lockd.set(3, Manners::Hangs);
    assert_eq!(two.wait(&lock), stat::BLOCKED);
    assert_eq!(three.unlock(&lock), stat::GRANTED);
    is_called(&world, 3, &lock);
    assert_eq!((two.cancel(&lock), one.lock(&lock)), (stat::GRANTED, stat::GRANTED));
}

#[test]
fn who_refuses_or_is_gone_holds_nobody_up() {
    let world = World::new();
    let mut clients: Vec<LockClient> = (2..6).map(|own| world.client(own)).collect();
    let lock = Lock::all(&world.file, 7, true);
    world.lockd.set(3, Manners::Answers(stat::DENIED));
    world.lockd.set(4, Manners::Refuses);
    assert_eq!(clients[0].lock(&lock), stat::GRANTED);
    assert!(clients[1..].iter_mut().all(|client| client.wait(&lock) == stat::BLOCKED));
    assert_eq!(clients[0].unlock(&lock), stat::GRANTED);
    is_called(&world, 3, &lock);
    is_called(&world, 5, &lock);
    assert_eq!(clients[3].unlock(&lock), stat::GRANTED);
    assert_eq!((world.locks.counters().held, world.locks.counters().waiting), (0, 0));
    assert_eq!((world.server.counters().grants, world.server.counters().grants_lost), (3, 2));
}

#[test]
fn a_grant_that_a_client_may_know_of_is_not_taken_back() {
    let world = World::new();
    let (mut one, mut two) = (world.client(2), world.client(3));
    let lock = Lock::all(&world.file, 7, true);
    // The client asks again while the call hangs, is answered, and then refuses the call, as it no longer waits.
    world.lockd.set(3, Manners::Hangs);
    assert_eq!((one.lock(&lock), two.wait(&lock)), (stat::GRANTED, stat::BLOCKED));
    assert_eq!(one.unlock(&lock), stat::GRANTED);
    is_called(&world, 3, &lock);
    assert_eq!(two.wait(&lock), stat::GRANTED);
    world.lockd.set(3, Manners::Answers(stat::DENIED));
    assert_eq!(world.lockd.next(LONG / 2), None);
    assert_eq!(one.lock(&lock), stat::DENIED);
    // The answer to the first call is lost, and the second call refused.
    assert_eq!((one.wait(&lock), two.unlock(&lock)), (stat::BLOCKED, stat::GRANTED));
    is_called(&world, 2, &lock);
    world.lockd.set(3, Manners::Hangs);
    assert_eq!((two.wait(&lock), one.unlock(&lock)), (stat::BLOCKED, stat::GRANTED));
    is_called(&world, 3, &lock);
    world.lockd.set(3, Manners::Answers(stat::DENIED));
    is_called(&world, 3, &lock);
    std::thread::sleep(SHORT);
    assert_eq!(one.lock(&lock), stat::DENIED);
}

#[test]
fn a_circle_of_waits_is_refused() {
    let world = World::new();
    let (mut one, mut two) = (world.client(2), world.client(3));
    let [first, second] = [0, 1].map(|at| Lock::all(&world.file, 7, true).bytes(at, 1));
    assert_eq!((one.lock(&first), two.lock(&second)), (stat::GRANTED, stat::GRANTED));
    assert_eq!((one.wait(&second), two.wait(&first)), (stat::BLOCKED, stat::DEADLOCK));
}
