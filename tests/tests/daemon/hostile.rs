//! Whatever is sent to the control socket, the daemon goes on.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::daemon::{Daemon, answer};
use cow_tests::random::Random;

use crate::setup;

fn assert_well(daemon: &Daemon, after: &str) {
    let status = daemon.ask("GET", "/v1/status", "");
    assert!(status.status == 200 && status.json()["state"] == "serving", "after {after}: {status:?}");
}

#[test]
fn bad_requests_never_kill_it() {
    let (_scratch, setup) = setup("bad");
    let daemon = setup.start();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let with_body = |body: &str| {
        format!("POST /v1/datasets HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let long_name = "x".repeat(100_000);
    let cases: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\n".to_vec(),
        b"\0".repeat(4096),
        b"GET".to_vec(),
        b"GET /\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec(),
        b"GET /v1/status HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n".to_vec(),
        b"GET /v1/status HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n".to_vec(),
        b"POST /v1/datasets HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n".to_vec(),
        format!("GET /{long_name} HTTP/1.1\r\n\r\n").into_bytes(),
        format!("GET /v1/datasets/{} HTTP/1.1\r\nConnection: close\r\n\r\n", "a%2F".repeat(2000)).into_bytes(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(5000)).into_bytes(),
        with_body(&deep).into_bytes(),
        with_body("\u{0}").into_bytes(),
        with_body(r#"{"name":"\ud800"}"#).into_bytes(),
        with_body(&format!(r#"{{"name":"{long_name}"}}"#)).into_bytes(),
        with_body(r#"{"name":"q","properties":{"quota":-1}}"#).into_bytes(),
        with_body(r#"{"name":"q","properties":{"quota":1e400}}"#).into_bytes(),
        with_body(r#"{"name":"q","properties":{"extentsize":0}}"#).into_bytes(),
        b"GET /v1/jobs/99999999999999999999 HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /v1/events HTTP/1.1\r\nLast-Event-ID: \xff\xfe\r\nConnection: close\r\n\r\n"[..20].to_vec(),
        b"GET /v1/diff?older=%00&newer=%00 HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
    ];
    for bytes in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let received = daemon.send(&bytes);
        if !received.is_empty() {
            let status = answer(&received).unwrap_or_else(|error| panic!("{shown:?}: {error}")).status;
            assert!((400..500).contains(&status), "{shown:?} was answered with {status}");
        }
        assert_well(&daemon, &shown);
    }
}

#[test]
fn random_bytes_never_kill_it() {
    let (_scratch, setup) = setup("random");
    let daemon = setup.start();
    let words: [&[u8]; 14] = [
        b"GET ",
        b"POST ",
        b"DELETE ",
        b"/v1/datasets",
        b"/v1/jobs/",
        b"%",
        b" HTTP/1.1\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"17",
        b"{\"name\":\"x\"}",
        b"?recursive",
        b":",
    ];
    let mut random = Random::new(11);
    for _ in 0..300 {
        let mut bytes = Vec::new();
        for _ in 0..random.below(12) {
            if random.below(4) == 0 {
                let length = random.below(40) as usize;
                bytes.extend(random.bytes(length));
            } else {
                bytes.extend(*random.pick(&words));
            }
        }
        let received = daemon.send(&bytes);
        assert!(received.is_empty() || answer(&received).is_ok(), "{:?}", String::from_utf8_lossy(&bytes));
    }
    assert_well(&daemon, "random bytes");
}

#[test]
fn those_who_do_nothing_do_not_keep_others_out() {
    let (_scratch, setup) = setup("idle");
    let daemon = setup.start();
    // More than the daemon takes on: the last ones are turned away, and the first go when they are too slow.
    let mut idle: Vec<UnixStream> = Vec::new();
    for number in 0..300 {
        if let Ok(mut stream) = UnixStream::connect(daemon.socket()) {
            let _ = stream.write_all(if number % 2 == 0 { b"" } else { b"GET / HT" });
            idle.push(stream);
        }
    }
    let begun = Instant::now();
    loop {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        let _ = stream.write_all(b"GET /v1/status HTTP/1.0\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        let mut received = Vec::new();
        if stream.read_to_end(&mut received).is_ok() && !received.is_empty() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the daemon lets nobody in any more");
        thread::sleep(Duration::from_millis(200));
    }
}
