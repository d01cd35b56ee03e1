//! Who may lock what; what is sent again, too much, or nonsense.

use std::io::Write;
use std::sync::Arc;

use cow_storage::format::DatasetId;
use cow_tests::model::Model;
use cow_tests::nfs_client::{Call, Client, Failure, Handle, NLM, NSM, Reader, Set};
use cow_tests::nlm_client::{Lock, stat};
use cow_tests::random::Random;
use cow_tests::served::open_access;
use cowd::shares::{Access, Rule, Squash};

use crate::{SHORT, World, made};

fn access(network: &str, writable: bool) -> Access {
    let rule = Rule { network: network.parse().unwrap(), writable, squash: Squash::None };
    Access { rules: vec![rule], ..Access::default() }
}

#[test]
fn only_who_may_use_a_file_locks_it() {
    let world = World::new();
    let mut client = world.client(2);
    let of = |handle: &Handle, exclusive| Lock::all(handle, 7, exclusive);
    let file = &world.file;
    assert_eq!(client.lock(&of(file, true).bytes(u64::MAX, 2)), stat::TOO_BIG);
    assert_eq!(client.lock(&of(&Handle(vec![0; 44]), false)), stat::STALE);
    assert_eq!(client.test(&of(&Handle(vec![1; 64]), false)), Err(stat::STALE));
    let root = client.client.mount("/model").unwrap();
    assert_eq!(client.lock(&of(&root, false)), stat::FAILED);
    // Another user may read the file: to share, or to have it alone as flock does. Of a file that is closed to it, nothing.
    client.client.user.uid = 1000;
    assert_eq!(client.lock(&of(file, true)), stat::GRANTED);
    assert_eq!(client.unlock(&of(file, true)), stat::GRANTED);
    let mut owner = Client::connect(world.address()).unwrap();
    owner.set_attributes(file, &Set { mode: Some(0o600), ..Set::default() }, None).unwrap();
    assert_eq!((client.lock(&of(file, false)), client.test(&of(file, false))), (stat::FAILED, Err(stat::FAILED)));
    client.client.user.uid = 0;
    // Where nothing may be written, nothing is locked alone.
    world.views.share("/model", 1, world.model.clone(), access("127.0.0.2", false));
    assert_eq!((client.lock(&of(file, true)), client.lock(&of(file, false))), (stat::READ_ONLY, stat::GRANTED));
    // Who is let in no more can only give back.
    world.views.share("/model", 1, world.model.clone(), access("127.0.0.3", true));
    assert_eq!((client.lock(&of(file, false)), client.unlock(&of(file, false))), (stat::FAILED, stat::GRANTED));
    assert_eq!(world.locks.counters().held, 0);
    world.views.shares.remove(DatasetId(1));
    assert_eq!(client.lock(&of(file, false)), stat::STALE);
}

#[test]
fn snapshots_can_be_shared_and_not_had_alone() {
    let world = World::new();
    let old = Arc::new(Model::default());
    world.views.share("/old", 2, old, open_access());
    let mut owner = Client::connect(world.address()).unwrap();
    let root = owner.mount("/old").unwrap();
    owner.create(&root, b"f", true, &Set::default()).unwrap();
    let model = world.views.shares.by_dataset(DatasetId(2)).unwrap().file_system.clone();
    world.views.add_snapshot(1, 9, "s", model);
    let root = owner.mount("/model").unwrap();
    let directory = owner.lookup(&root, b".snapshot").unwrap().0;
    let snapshot = owner.lookup(&directory, b"s").unwrap().0;
    let file = owner.lookup(&snapshot, b"f").unwrap().0;
    let mut client = world.client(2);
    assert_eq!(client.lock(&Lock::all(&file, 7, true)), stat::READ_ONLY);
    assert_eq!(client.lock(&Lock::all(&file, 7, false)), stat::GRANTED);
    // It is another file than the head's.
    assert_eq!(client.lock(&Lock::all(&world.file, 8, true)), stat::GRANTED);
}

#[test]
fn a_lock_that_was_given_back_is_not_set_by_an_old_call() {
    let world = World::new();
    let mut client = world.client(2);
    let lock = Lock::all(&world.file, 7, true);
    let (_, record) = client.client.encode(&client.lock_call(&lock, false, false));
    client.client.stream().write_all(&record).unwrap();
    let (xid, first) = client.client.receive().unwrap();
    assert_eq!(client.unlock(&lock), stat::GRANTED);
    client.client.stream().write_all(&record).unwrap();
    let (again, second) = client.client.receive().unwrap();
    assert_eq!((xid, first.unwrap()), (again, second.unwrap()));
    assert_eq!(world.locks.counters().held, 0);
}

#[test]
fn a_client_that_locks_without_end_is_stopped() {
    let world = World::new();
    let (mut greedy, mut other) = (world.client(2), world.client(3));
    let of = |at: u64| Lock::all(&world.file, 7, true).bytes(at * 2, 1);
    let calls = (0..40_000).map(|at| greedy.lock_call(&of(at), false, false)).collect::<Vec<_>>();
    let mut outcomes = [0; 10];
    let counted = greedy.client.pipeline(64, calls, |_, results| {
        let results = results?;
        let mut reader = Reader(&results);
        reader.opaque()?;
        outcomes[reader.word()? as usize] += 1;
        Ok(())
    });
    counted.unwrap();
    let [granted, _, full, ..] = outcomes;
    assert!(granted > 30_000 && full > 5_000 && granted + full == 40_000, "{outcomes:?}");
    let file = made(world.address(), b"g");
    assert_eq!(other.lock(&Lock::all(&file, 7, true)), stat::GRANTED);
    greedy.free_all("client-2");
    assert_eq!(world.locks.counters().held, 1);
    let long = "n".repeat(1000);
    other.name = long;
    assert_eq!(other.lock(&Lock::all(&world.file, 7, true)), stat::NO_LOCKS);
}

#[test]
fn nonsense_is_refused() {
    let world = World::new();
    let mut client = world.client(2);
    let good = client.lock_call(&Lock::all(&world.file, 7, true), true, false).arguments;
    let mut random = Random::new(7);
    let mut refused = 0;
    for round in 0..3000 {
        let program = if round % 8 == 0 { NSM } else { NLM };
        let mut arguments = if round % 3 == 0 { random.bytes(round % 200) } else { good.clone() };
        for _ in 0..random.below(4).min(arguments.len() as u64) {
            let at = random.below(arguments.len() as u64) as usize;
            arguments[at] = random.number() as u8;
        }
        arguments.truncate(arguments.len().saturating_sub(random.below(3) as usize * 4));
        let procedure = random.below(25) as u32;
        match client.client.call(&Call { program, procedure, arguments }) {
            Ok(_) => {}
            Err(Failure::Refused(0, 3 | 4)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 1000, "{refused}");
    assert_eq!(world.server.counters().panics, 0);
    client.free_all("client-2");
    std::thread::sleep(SHORT);
    let mut other = world.client(3);
    assert_eq!(other.lock(&Lock::all(&made(world.address(), b"h"), 7, true)), stat::GRANTED);
}
