//! Restarts: of clients, which have no locks then; and of the server, which has its clients take theirs back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cow_tests::nlm_client::{Called, Lock, LockClient, Lockd, stat};
use cow_tests::scratch::Scratch;
use cow_tests::served::{ModelViews, open_access, serve_with_locks};
use cowd::nfs::{LockSetup, Server};

use crate::{LONG, SHORT, World, made};

#[test]
fn a_client_that_restarts_has_no_locks() {
    let world = World::new();
    let (mut one, mut two) = (world.client(2), world.client(3));
    let lock = Lock::all(&world.file, 7, true);
    let restarts: [fn(&mut LockClient); 4] = [
        |client| client.free_all("client-2"),
        |client| client.notify("client-2.example.org"),
        |client| client.notify("another name of the only one here"),
        |client| {
            client.state += 2;
            let other = made(client.client.stream().peer_addr().unwrap(), b"other");
            assert_eq!(client.lock(&Lock::all(&other, 9, false)), stat::GRANTED);
        },
    ];
    for restart in restarts {
        assert_eq!((one.lock(&lock), two.wait(&lock)), (stat::GRANTED, stat::BLOCKED));
        // Another's restart frees nothing, whatever name it says.
        two.notify("client-2");
        assert_eq!((one.lock(&lock), two.wait(&lock)), (stat::GRANTED, stat::BLOCKED));
        restart(&mut one);
        assert!(matches!(world.lockd.next(LONG), Some((3, Called::Granted { .. }))));
        assert_eq!(two.unlock(&lock), stat::GRANTED);
    }
}

#[test]
fn locks_outlive_connections_and_end_with_the_client() {
    let world = World::new();
    let lock = Lock::all(&world.file, 7, true);
    assert_eq!(world.client(2).lock(&lock), stat::GRANTED);
    std::thread::sleep(SHORT);
    assert_eq!(world.client(3).lock(&lock), stat::DENIED);
    assert_eq!(world.client(2).lock(&lock), stat::GRANTED);
    let client = world.locks.clients().remove(0).client;
    assert_eq!(world.server.release_locks(&client), 1);
    assert_eq!(world.client(3).lock(&lock), stat::GRANTED);
}

/// A server that can be started again, of a dataset that stays.
struct Restarted {
    views: Arc<ModelViews>,
    lockd: Lockd,
    scratch: Scratch,
    grace_period: Duration,
}

impl Restarted {
    fn start(&self) -> Server {
        let ledger = Some(self.scratch.path().join("lock-clients.json"));
        let (rpcbind_port, grace_period) = (self.lockd.port, self.grace_period);
        let setup = LockSetup { ledger, rpcbind_port, grace_period, name: "server".to_owned(), ..LockSetup::default() };
        serve_with_locks(self.views.clone(), setup)
    }

    /// The numbers that the client at an address was told, by both names that it may know us by.
    fn told(&self, own: u8) -> u32 {
        let next = || match self.lockd.next(LONG) {
            Some((of, Called::Restarted { name, state })) if of == own => (name, state),
            other => panic!("{other:?}"),
        };
        let (first, second) = (next(), next());
        assert_eq!((first.0.as_str(), second.0.as_str(), first.1), ("server", "127.0.0.1", second.1));
        first.1
    }
}

#[test]
fn after_a_restart_only_those_lock_who_did_before() {
    let views = Arc::new(ModelViews::default());
    views.share("/model", 1, Arc::new(cow_tests::model::Model::default()), open_access());
    let (lockd, scratch) = (Lockd::start(), Scratch::new("locks"));
    let world = Restarted { views, lockd, scratch, grace_period: Duration::from_secs(4) };
    let server = world.start();
    let file = made(server.local_addr().unwrap(), b"f");
    let connect = |server: &Server, own| LockClient::connect(own, server.local_addr().unwrap()).unwrap();
    let lock = Lock::all(&file, 7, true);
    // Nobody held anything, so there is nothing to wait for.
    assert_eq!(connect(&server, 2).lock(&lock), stat::GRANTED);
    let mut states = Vec::new();
    let mut server = server;
    for _ in 0..2 {
        drop(server);
        server = world.start();
        let began = Instant::now();
        states.push(world.told(2));
        let (mut one, mut two) = (connect(&server, 2), connect(&server, 3));
        let other = lock.clone().bytes(1000, 1);
        assert_eq!((two.lock(&lock), two.wait(&lock), two.reclaim(&lock)), (stat::GRACE, stat::GRACE, stat::GRACE));
        assert_eq!((two.test(&lock), one.lock(&other)), (Err(stat::GRACE), stat::GRACE));
        assert_eq!((one.reclaim(&lock), one.reclaim(&lock)), (stat::GRANTED, stat::GRANTED));
        while two.lock(&lock) == stat::GRACE {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(began.elapsed() > Duration::from_secs(3), "the time ended after {:?}", began.elapsed());
        assert_eq!((two.lock(&lock), one.reclaim(&lock), two.reclaim(&lock)), (stat::DENIED, stat::GRACE, stat::GRACE));
    }
    assert!(states[0] % 2 == 1 && states[1] == states[0] + 2, "{states:?}");
    // Clients that have restarted as well are not waited for.
    drop(server);
    let server = world.start();
    let began = Instant::now();
    connect(&server, 2).notify("client-2");
    connect(&server, 3).free_all("client-3");
    assert_eq!(connect(&server, 3).lock(&lock), stat::GRANTED);
    assert!(began.elapsed() < Duration::from_secs(3));
}
