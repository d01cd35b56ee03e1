//! What each procedure promises beyond what the model says.

use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind};
use cow_tests::model::Model;
use cow_tests::nfs_client::{Call, Client, Failure, Handle, Reader, Set, Stable};
use cow_tests::served::{ModelViews, open_access, serve_model};
use cowd::nfs::{Limits, Server};

use crate::{failed, status};

fn names(client: &mut Client, directory: &Handle, count: u32, plus: bool) -> Vec<Vec<u8>> {
    let (mut all, mut cookie, mut verifier) = (Vec::new(), 0, 0);
    loop {
        let call = if plus {
            Call::read_directory_plus(directory, cookie, verifier, count / 4, count)
        } else {
            Call::read_directory(directory, cookie, verifier, count)
        };
        let results = client.call(&call).unwrap();
        let mut reader = Reader(&results);
        reader.status().unwrap();
        let length = results.len() - 4;
        assert!(length <= count as usize, "{length} bytes where {count} were asked for");
        let (new_verifier, entries, end) = reader.listing(plus).unwrap();
        (verifier, cookie) = (new_verifier, entries.last().map_or(cookie, |entry| entry.cookie));
        all.extend(entries.into_iter().map(|entry| entry.name));
        if end {
            return all;
        }
    }
}

#[test]
fn listings_are_whole_whatever_their_budget() {
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let expected: Vec<Vec<u8>> = (0..2_500).map(|n| format!("{n}-{}", "x".repeat(n % 40)).into_bytes()).collect();
    let calls: Vec<Call> = expected.iter().map(|name| Call::create(&root, name, 1, &Set::default())).collect();
    client.pipeline(32, calls, |_, results| Reader(&results?).status()).unwrap();
    let mut expected: Vec<Vec<u8>> = expected.into_iter().chain([b".".to_vec(), b"..".to_vec()]).collect();
    expected.sort();
    for count in [400, 1_000, 4_096, 32_768, 1 << 20] {
        for plus in [false, true] {
            let mut listed = names(&mut client, &root, count, plus);
            listed.sort();
            assert_eq!(listed, expected, "{count} {plus}");
        }
    }
    let too_small = client.call(&Call::read_directory(&root, 0, 0, 110)).unwrap();
    assert_eq!(failed(Reader(&too_small).status()), status::TOO_SMALL);
    let wrong = client.call(&Call::read_directory(&root, 5, 999, 4096)).unwrap();
    assert_eq!(failed(Reader(&wrong).status()), status::BAD_COOKIE);
}

#[test]
fn creates_are_guarded_unchecked_or_exclusive() {
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set { mode: Some(0o640), ..Set::default() }).unwrap();
    client.write(&file, 0, b"hello", Stable::File).unwrap();
    assert_eq!(failed(client.create(&root, b"f", true, &Set::default())), status::EXISTS);
    assert_eq!(client.create(&root, b"f", false, &Set::default()).unwrap(), file);
    assert_eq!(client.attributes(&file).unwrap().size, 5);
    client.create(&root, b"f", false, &Set { size: Some(0), mode: Some(0), ..Set::default() }).unwrap();
    let attributes = client.attributes(&file).unwrap();
    assert_eq!((attributes.size, attributes.mode), (0, 0o640));
    let exclusive = client.create_exclusive(&root, b"x", 9).unwrap();
    assert_eq!(client.create_exclusive(&root, b"x", 9).unwrap(), exclusive);
    assert_eq!(failed(client.create_exclusive(&root, b"x", 8)), status::EXISTS);
    client.user.gid = 55;
    let grouped = client.make_directory(&root, b"d", 0o755).unwrap();
    assert_eq!(client.attributes(&grouped).unwrap().gid, 55);
}

#[test]
fn guards_compare_the_time_of_change() {
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    let changed = client.attributes(&file).unwrap().times[2];
    let set = Set { mode: Some(0o600), ..Set::default() };
    let around = client.set_attributes(&file, &set, Some(changed)).unwrap();
    assert_eq!(around.before.unwrap().2, changed);
    assert_eq!(around.after.unwrap(), client.attributes(&file).unwrap());
    assert_eq!(failed(client.set_attributes(&file, &set, Some(changed))), status::NOT_SYNCHRONIZED);
}

#[test]
fn writes_say_what_they_promise_and_commits_show_a_loss() {
    let (server, model, _) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    for stable in [Stable::No, Stable::Data, Stable::File] {
        let (count, promised, verifier) = client.write(&file, 1 << 33, b"abc", stable).unwrap();
        assert_eq!((count, promised, verifier), (3, stable as u32, client.commit(&file).unwrap()));
    }
    let (.., verifier) = client.write(&file, 0, b"abc", Stable::No).unwrap();
    model.set_write_verifier(77);
    assert_ne!(client.commit(&file).unwrap(), verifier);
    assert_eq!(client.read(&file, (1 << 33) + 1, 100).unwrap(), (b"bc".to_vec(), true));
    assert_eq!(client.read(&file, u64::MAX, 100).unwrap(), (Vec::new(), true));
    let mut wrong = Call::write(&file, 0, b"abcd", Stable::No);
    let count_at = wrong.arguments.len() - 16;
    wrong.arguments[count_at + 3] = 3;
    assert!(client.call(&wrong).is_err());
}

#[test]
fn engine_failures_become_their_statuses() {
    let (server, model, _) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let expected = [
        (ErrorKind::Busy, status::TRY_LATER),
        (ErrorKind::Poisoned, status::TRY_LATER),
        (ErrorKind::Quota, status::QUOTA),
        (ErrorKind::Corrupt, 5),
    ];
    for (kind, expected) in expected {
        let fail = move |call| if call == "create" { Err(Error::from(kind)) } else { Ok(()) };
        model.before_each(Some(Arc::new(fail)));
        assert_eq!(failed(client.create(&root, b"f", true, &Set::default())), expected);
    }
    model.before_each(None);
    client.create(&root, b"f", true, &Set::default()).unwrap();
}

#[test]
fn a_panic_fails_its_call_only() {
    let (server, model, _) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    model.before_each(Some(Arc::new(|call| if call == "create" { panic!("on cue") } else { Ok(()) })));
    assert_eq!(failed(client.create(&root, b"f", true, &Set::default())), status::SERVER_FAULT);
    model.before_each(None);
    client.create(&root, b"f", true, &Set::default()).unwrap();
    assert_eq!(server.counters().panics, 1);
}

#[test]
fn limits_and_room_are_true() {
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let state = client.call(&Call::facts(18, &root)).unwrap();
    let mut reader = Reader(&state);
    reader.status().unwrap();
    reader.after().unwrap();
    assert_eq!((reader.long().unwrap(), reader.long().unwrap()), (1 << 40, 1 << 40));
    let limits = client.call(&Call::facts(19, &root)).unwrap();
    let mut reader = Reader(&limits);
    reader.status().unwrap();
    reader.after().unwrap();
    let words: Vec<u32> = (0..7).map(|_| reader.word().unwrap()).collect();
    assert_eq!((words[0], words[3], reader.long().unwrap()), (1 << 20, 1 << 20, i64::MAX as u64));
    let paths = client.call(&Call::facts(20, &root)).unwrap();
    assert_eq!(paths[paths.len() - 24..], [65_000u32, 255, 1, 1, 0, 1].map(u32::to_be_bytes).concat());
}

#[test]
fn many_calls_of_one_connection_run_at_once() {
    let (server, model, _) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    let sleep = |call| {
        if call == "sync" {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    };
    model.before_each(Some(Arc::new(sleep)));
    client.commit(&file).unwrap();
    let began = std::time::Instant::now();
    client.pipeline(32, (0..64).map(|_| Call::commit(&file)), |_, results| Reader(&results?).status()).unwrap();
    let serial = std::time::Duration::from_millis(20 * 64);
    assert!(began.elapsed() < serial / 4, "{:?}", began.elapsed());
}

#[test]
fn replies_go_out_after_the_last_call() {
    let (server, model, _) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    model.before_each(Some(Arc::new(|call| {
        if call == "sync" {
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        Ok(())
    })));
    client.commit(&file).unwrap();
    for _ in 0..4 {
        client.send(&Call::commit(&file)).unwrap();
    }
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    for _ in 0..4 {
        Reader(&client.receive().unwrap().1.unwrap()).status().unwrap();
    }
    assert!(matches!(client.receive(), Err(Failure::Io(_))));
}

#[test]
fn ipv6_is_served() {
    let views = Arc::new(ModelViews::default());
    views.share("/model", 1, Arc::new(Model::default()), open_access());
    let Ok(server) = Server::start("[::1]:0".parse().unwrap(), views, [7; 32], Limits::default()) else {
        eprintln!("skipped: this host has no IPv6");
        return;
    };
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    client.mount("/model").unwrap();
    assert_eq!(server.clients()[0].address, std::net::Ipv6Addr::LOCALHOST);
}
