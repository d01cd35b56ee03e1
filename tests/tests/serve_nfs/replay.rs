//! Calls that are sent again run once.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use cow_tests::nfs_client::{Call, Client, Set};
use cow_tests::served::serve_model;

#[test]
fn a_captured_call_is_answered_as_before() {
    let (server, ..) = serve_model();
    let address = server.local_addr().unwrap();
    let mut client = Client::connect(address).unwrap();
    let root = client.mount("/model").unwrap();
    client.create(&root, b"f", true, &Set::default()).unwrap();
    let (_, remove) = client.encode(&Call::remove(&root, b"f"));
    client.stream().write_all(&remove).unwrap();
    let (xid, first) = client.receive().unwrap();
    let first = first.unwrap();
    assert_eq!(first[..4], [0; 4]);
    client.stream().write_all(&remove).unwrap();
    assert_eq!(client.receive().unwrap().0, xid);
    drop(client);
    // Once the server has seen that the connection ended, the call is known on a new one too.
    let until = Instant::now() + Duration::from_secs(5);
    while server.counters().connections > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut again = Client::connect(address).unwrap();
    again.stream().write_all(&remove).unwrap();
    let (number, results) = again.receive().unwrap();
    assert_eq!((number, results.unwrap()), (xid, first));
    assert_eq!(server.counters().replayed, 2);
}

#[test]
fn a_call_that_is_being_run_is_not_run_again() {
    let (server, model, _) = serve_model();
    let (started, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    model.before_each(Some(Arc::new({
        let (started, runs) = (started.clone(), runs.clone());
        move |call| {
            if call == "create" {
                runs.fetch_add(1, Ordering::Relaxed);
                started.wait();
                started.wait();
            }
            Ok(())
        }
    })));
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    // Makes the server think that creates are slow, so that somebody reads on meanwhile.
    let (first, second) =
        (Call::create(&root, b"a", 1, &Set::default()), Call::create(&root, b"b", 1, &Set::default()));
    client.send(&first).unwrap();
    started.wait();
    std::thread::sleep(Duration::from_millis(1));
    started.wait();
    client.receive().unwrap().1.unwrap();
    let (xid, record) = client.encode(&second);
    client.stream().write_all(&record).unwrap();
    started.wait();
    client.stream().write_all(&record).unwrap();
    client.null().unwrap();
    // Another thread may answer the null call before the one that has the record again has looked at it.
    let until = Instant::now() + Duration::from_secs(30);
    while server.counters().dropped == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    started.wait();
    assert_eq!(client.receive().unwrap().0, xid);
    assert_eq!((runs.load(Ordering::Relaxed), server.counters().dropped), (2, 1));
    model.before_each(None);
}
