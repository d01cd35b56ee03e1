//! A server under attack: it stays up, keeps its memory, and others are answered meanwhile.
//!
//! One client goes on working from an address of its own while others misbehave from theirs, in every way that is listed in
//! `attacks.rs`. `COW_SIEGE=SECONDS` makes each attack last so long; what the client saw is printed.

mod attacks;
mod bystander;

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::nfs_client::Client;
use cow_tests::scratch::Scratch;

use crate::attacks::ATTACKS;
use crate::bystander::Bystander;

/// Where the client calls from that does no wrong.
const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
/// Attackers that may mount, and one that may not.
const BAD: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 67)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 9, 9)),
];
/// Longest that a call of the good client may take: a hundred times what it takes on a busy machine, and far less than the
/// time after which the server gives an attacker up.
const CALL_TIME_MAX: Duration = Duration::from_secs(3);
/// Most that the server may grow by: its buffers of 128 MiB, its caches (see below), and threads.
const GROWTH_MAX: u64 = 350 << 20;

/// What attackers know.
pub struct Siege {
    /// Where the server is.
    pub server: SocketAddr,
    /// When to stop.
    pub until: Instant,
}

impl Siege {
    /// A client from one of the attackers' addresses.
    pub fn client(&self, attacker: usize) -> Option<Client> {
        Client::connect_from((BAD[attacker], 0).into(), self.server).ok()
    }

    /// Whether to go on.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }
}

fn resident(daemon: &Daemon) -> u64 {
    let text = daemon.ask("GET", "/metrics", "").text();
    let line = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.and_then(|value| value.parse().ok()).expect("the memory is told")
}

fn panics(daemon: &Daemon) -> bool {
    let text = daemon.ask("GET", "/metrics", "").text();
    text.lines().any(|line| line.starts_with("cow_nfs_panics_total") && !line.ends_with(" 0"))
}

#[test]
fn a_client_is_served_whatever_others_do() {
    let scratch = Scratch::new("siege");
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    setup.config += "[memory]\ndirty = \"48M\"\nnodes = \"16M\"\nblocks = \"32M\"\nslots = \"16M\"\ndedup = \"16M\"\n";
    setup.config += "[exports]\nrules = [\"127.0.0.0/24 rw no_root_squash\"]\n";
    let daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"kept"}"#);
    let seconds = env::var("COW_SIEGE").ok().map_or(1, |text| text.parse().expect("a number of seconds"));
    let before = resident(&daemon);
    let mut files = Vec::new();
    for (name, attack) in ATTACKS {
        let siege = Siege { server: daemon.nfs(), until: Instant::now() + Duration::from_secs(seconds) };
        let bystander = Bystander::start(GOOD, daemon.nfs(), name);
        let done = attack(&siege);
        let seen = bystander.end();
        let grown = resident(&daemon).saturating_sub(before);
        println!("{name}: {done}; the client made {seen}; the server grew by {} MiB", grown >> 20);
        assert!(seen.longest < CALL_TIME_MAX, "{name}: a call took {:?}", seen.longest);
        assert!(grown < GROWTH_MAX, "{name}: the server grew by {grown} bytes");
        files.push(seen.content);
    }
    assert!(!panics(&daemon), "a call met a mistake in the server");
    for (content, (name, _)) in files.iter().zip(ATTACKS) {
        assert_eq!(bystander::read_back(GOOD, daemon.nfs(), name), *content, "what was written during {name}");
    }
    let (status, _) = daemon.stop();
    assert!(status.success());
}
