//! Whatever is sent, the server stays up, keeps its memory, and answers others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use cow_tests::nfs_client::{Call, Client, Failure, Set, Stable};
use cow_tests::random::Random;
use cow_tests::served::serve_model;
use cowd::nfs::Reason;

/// Fails unless a new client is answered.
#[track_caller]
fn answers(server: SocketAddr) {
    let mut client = Client::connect(server).unwrap();
    let root = client.mount("/model").unwrap();
    assert_eq!(client.attributes(&root).unwrap().inode, 1);
}

/// Waits until the peer closes.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn bad_records_end_their_connection_only() {
    let (server, ..) = serve_model();
    let address = server.local_addr().unwrap();
    let mut bystander = Client::connect(address).unwrap();
    bystander.null().unwrap();
    let giant = [0xff; 8].to_vec();
    let giant_in_parts = [0x7f, 0xff, 0xff, 0xff].to_vec();
    let reply = [&[0x80, 0, 0, 8][..], &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
    let short = [&[0x80, 0, 0, 3][..], &[0, 0, 0]].concat();
    let empty = [0x80, 0, 0, 0].to_vec();
    let endless = [0; 4 * 5000].to_vec();
    for bytes in [giant, giant_in_parts, reply, short, empty, endless] {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(&bytes);
        assert!(is_closed(&mut stream), "{:?}", &bytes[..bytes.len().min(12)]);
        bystander.null().unwrap();
    }
    assert!(server.counters().refusals(Reason::Garbage) >= 6);
    assert_eq!(server.counters().buffer_bytes, 0);
}

#[test]
fn half_records_hold_nobody_up() {
    let (server, ..) = serve_model();
    let address = server.local_addr().unwrap();
    let mut stalled = Vec::new();
    for length in 0..60 {
        let mut client = Client::connect(address).unwrap();
        let root = client.mount("/model").unwrap();
        let (_, record) = client.encode(&Call::write(&root, 0, &vec![1; 1000 * length], Stable::No));
        client.stream().write_all(&record[..record.len() * length / 60]).unwrap();
        stalled.push(client);
    }
    let began = Instant::now();
    answers(address);
    assert!(began.elapsed() < Duration::from_secs(2));
    drop(stalled);
    answers(address);
}

#[test]
fn random_calls_are_answered_or_refused() {
    let (server, model, _) = serve_model();
    let address = server.local_addr().unwrap();
    let mut random = Random::new(3);
    let mut client = Client::connect(address).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    let mut answered = 0;
    for _ in 0..20_000 {
        let length = random.below(200) as usize;
        let mut arguments = random.bytes(length);
        if random.below(2) == 0 {
            let handle = random.pick(&[&root, &file]).0.clone();
            let front = [&(handle.len() as u32).to_be_bytes()[..], &handle].concat();
            arguments.splice(0..0, front);
        }
        // Small numbers are likelier to mean something.
        for word in arguments.chunks_exact_mut(4).skip(12) {
            if random.below(2) == 0 {
                word.copy_from_slice(&[0, 0, 0, word[3] % 8]);
            }
        }
        let program = *random.pick(&[100_003, 100_003, 100_003, 100_005, 100_227]);
        let call = Call { program, procedure: random.below(24) as u32, arguments };
        match client.call(&call) {
            Ok(_) | Err(Failure::Refused(..)) => answered += 1,
            Err(Failure::Io(_)) => client = Client::connect(address).unwrap(),
            Err(failure) => panic!("{failure}"),
        }
    }
    assert_eq!(answered, 20_000);
    let counters = server.counters();
    assert_eq!(counters.panics, 0);
    assert!(counters.refusals(Reason::Garbage) > 1000 && counters.refusals(Reason::Program) > 100, "{counters:?}");
    assert!(counters.refusals(Reason::BadHandle) > 10, "{counters:?}");
    assert!(!model.inodes().is_empty());
    answers(address);
}

#[test]
fn random_records_never_hurt() {
    let (server, ..) = serve_model();
    let address = server.local_addr().unwrap();
    let mut random = Random::new(4);
    let (_, record) = Client::connect(address).unwrap().encode(&Call::null());
    for _ in 0..2_000 {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut bytes = record.clone();
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.number() as u8;
        }
        let _ = stream.write_all(&bytes);
    }
    answers(address);
    assert_eq!(server.counters().panics, 0);
}

#[test]
fn a_storm_of_broken_connections_passes() {
    let (server, ..) = serve_model();
    let address = server.local_addr().unwrap();
    for _ in 0..500 {
        let stream = TcpStream::connect(address).unwrap();
        // Closing with zero linger resets the connection instead of ending it.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    answers(address);
    let until = Instant::now() + Duration::from_secs(5);
    while server.counters().connections > 1 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(server.counters().connections <= 1);
}

#[test]
fn a_client_that_takes_no_replies_holds_only_its_own() {
    let (server, ..) = serve_model();
    let address = server.local_addr().unwrap();
    let mut greedy = Client::connect(address).unwrap();
    let root = greedy.mount("/model").unwrap();
    let file = greedy.create(&root, b"f", true, &Set::default()).unwrap();
    greedy.write(&file, 0, &vec![7; 1 << 20], Stable::No).unwrap();
    greedy.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // The server stops reading when its replies are not taken, so that sending comes to a halt too.
    let sent = (0..100_000).take_while(|_| greedy.send(&Call::read(&file, 0, 1 << 20)).is_ok()).count();
    assert!(sent < 100_000);
    assert!(server.counters().buffer_bytes <= 9 << 20, "{}", server.counters().buffer_bytes);
    answers(address);
}
