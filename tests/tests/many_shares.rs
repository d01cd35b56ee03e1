//! Thousands of shares, each with rules of its own: each is right, none slows the next, and no client of others notices.
//!
//! `COW_SHARES` sets their number (200 by default; 5,000 is the goal), and `COW_SHARES_SECONDS` how long calls are counted
//! afterwards. Times are printed, not judged: the machine's other work would be judged with them.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::nfs_client::{Client, Failure, Set, Stable};
use cow_tests::scratch::Scratch;

const ACCESS: u32 = 13;
/// Hosts that the shares are dealt out to.
const HOSTS: usize = 50;

fn number(variable: &str, otherwise: usize) -> usize {
    env::var(variable).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The address of the host that share `number` is for.
fn host(number: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 1, (number % HOSTS) as u8 + 1), 0).into()
}

/// Makes a share; tells how long cloning and sharing took.
fn make(daemon: &Daemon, number: usize) -> [Duration; 2] {
    let began = Instant::now();
    daemon.done("POST", "/v1/snapshots/first%40s/clone", &format!(r#"{{"name":"c{number}"}}"#));
    let cloned = began.elapsed();
    let body = format!(r#"{{"rules":["{}/32 rw no_root_squash"]}}"#, host(number).ip());
    daemon.done("PATCH", &format!("/v1/datasets/c{number}/share"), &body);
    [cloned, began.elapsed() - cloned]
}

/// What each of some calls took.
struct Times(Vec<Duration>);

impl Times {
    fn tell(&mut self, what: &str) {
        let mut all = std::mem::take(&mut self.0);
        all.sort();
        let at = |part: f64| all[((all.len() - 1) as f64 * part) as usize];
        println!("{what}: {} calls, median {:.0?}, p99 {:.0?}, longest {:.0?}", all.len(), at(0.5), at(0.99), at(1.0));
    }
}

/// Looks, reads and writes on the first share until told to end; tells how each quarter of its calls fared.
fn work(server: SocketAddr, is_over: &AtomicBool) {
    let mut client = Client::connect(server).unwrap();
    let root = client.mount("/first").unwrap();
    let file = client.create(&root, b"worked-on", false, &Set::default()).unwrap();
    let mut times = Vec::new();
    while !is_over.load(Ordering::Acquire) || times.len() < 4 {
        let began = Instant::now();
        client.attributes(&file).unwrap();
        client.write(&file, 0, &[times.len() as u8; 8192], Stable::No).unwrap();
        assert_eq!(client.read(&file, 0, 8192).unwrap().0, vec![times.len() as u8; 8192]);
        times.push(began.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    let quarter = times.len().div_ceil(4);
    for (number, part) in times.chunks(quarter).enumerate() {
        Times(part.to_vec()).tell(&format!("the client of the first, quarter {}", number + 1));
    }
}

#[test]
fn many_shares_are_each_their_own() {
    let count = number("COW_SHARES", 200);
    let scratch = Scratch::new("many-shares");
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    setup.config += "[exports]\nrules = [\"127.0.0.1/32 rw no_root_squash\"]\n";
    let daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"first"}"#);
    let mut client = Client::connect(daemon.nfs()).unwrap();
    let root = client.mount("/first").unwrap();
    let file = client.create(&root, b"same", false, &Set::default()).unwrap();
    client.write(&file, 0, b"same everywhere", Stable::File).unwrap();
    daemon.done("POST", "/v1/snapshots", r#"{"snapshots":[{"dataset":"first","name":"s"}]}"#);

    let is_over = Arc::new(AtomicBool::new(false));
    let working = thread::spawn({
        let (server, is_over) = (daemon.nfs(), is_over.clone());
        move || work(server, &is_over)
    });
    let times: Vec<[Duration; 2]> = (0..count).map(|number| make(&daemon, number)).collect();
    is_over.store(true, Ordering::Release);
    working.join().unwrap();
    for (place, what) in ["clone", "share"].into_iter().enumerate() {
        let of = |times: &[[Duration; 2]]| Times(times.iter().map(|times| times[place]).collect());
        let some = count.min(100);
        of(&times[..some]).tell(&format!("{what}, the first"));
        of(&times[count - some..]).tell(&format!("{what}, the last"));
    }

    let daemon = each_is_right_after_a_restart(daemon, &setup, count);
    count_calls(daemon.nfs(), Duration::from_secs(number("COW_SHARES_SECONDS", 2) as u64));
}

fn each_is_right_after_a_restart(daemon: Daemon, setup: &Setup, count: usize) -> Daemon {
    each_is_right(&daemon, count);
    daemon.crash();
    let daemon = setup.start();
    println!("served again {:.0?} after it was killed", daemon.took);
    each_is_right(&daemon, count);
    daemon
}

/// Each share has its file for its own host, and nothing for the next one.
fn each_is_right(daemon: &Daemon, count: usize) {
    let mut clients: Vec<Client> =
        (0..HOSTS).map(|number| Client::connect_from(host(number), daemon.nfs()).unwrap()).collect();
    for number in 0..count {
        let path = format!("/c{number}");
        let client = &mut clients[number % HOSTS];
        let root = client.mount(&path).unwrap();
        let file = client.walk(&root, "same").unwrap();
        assert_eq!(client.read(&file, 0, 100).unwrap().0, b"same everywhere", "{path}");
        client.write(&file, 0, format!("this is {number:6}").as_bytes(), Stable::No).unwrap();
        client.write(&file, 0, b"same everywhere", Stable::No).unwrap();
        let stranger = &mut clients[(number + 1) % HOSTS];
        for refused in [stranger.mount(&path).map(drop), stranger.attributes(&file).map(drop)] {
            assert!(matches!(refused, Err(Failure::Status(ACCESS))), "{path} to a stranger: {refused:?}");
        }
    }
}

/// Counts GETATTR in each tenth of a time: whatever piles up with calls would slow them.
fn count_calls(server: SocketAddr, time: Duration) {
    let mut client = Client::connect(server).unwrap();
    let root = client.mount("/first").unwrap();
    let rates: Vec<u64> = (0..10)
        .map(|_| {
            let (began, mut calls) = (Instant::now(), 0);
            while began.elapsed() < time / 10 {
                client.attributes(&root).unwrap();
                calls += 1;
            }
            (f64::from(calls) / began.elapsed().as_secs_f64()) as u64
        })
        .collect();
    println!("GETATTR a second, in each tenth of {time:?}: {rates:?}");
}
