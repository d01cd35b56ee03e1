//! What COMMIT acknowledged is there after `kill -9`, byte for byte, round after round on the same pool.
//!
//! `COW_DURABILITY_ROUNDS` sets the number of kills (50 by default).

use std::collections::HashSet;
use std::env;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::nfs_client::{Call, Client, Handle, Outcome, Reader, Set, Stable};
use cow_tests::pooled::Pooled;
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;

const WRITERS: u64 = 3;
const FILE_LEN: usize = 1 << 20;
const WRITE_LEN_MAX: u64 = 48 << 10;

#[test]
fn what_commit_acknowledged_survives_kill_9() {
    let rounds = env::var("COW_DURABILITY_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let scratch = Scratch::new("durability");
    let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut commits = 0;
    for round in 0..rounds {
        let daemon = start(&setup);
        let address = daemon.nfs();
        let lifetime = Duration::from_millis(Random::new(round).below(80) + 10);
        thread::scope(|scope| {
            let running: Vec<_> = writers.iter_mut().map(|writer| scope.spawn(|| writer.run(address))).collect();
            thread::sleep(lifetime);
            // Dropping it ends it as a crash does.
            drop(daemon);
            commits += running.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>();
        });
        let pooled = Pooled::open(&scratch.path().join("pool")).unwrap();
        for writer in &mut writers {
            writer.check(pooled.url("d").server, round);
        }
        if round % 10 == 9 {
            pooled.assert_sound();
        }
    }
    assert!(commits > rounds, "{commits} commits in {rounds} rounds are too few to prove anything");
    println!("{commits} commits were acknowledged in {rounds} rounds");
}

/// Starts the daemon on its pool, in which there is the dataset `d`.
fn start(setup: &Setup) -> Daemon {
    let daemon = setup.start();
    if daemon.ask("GET", "/v1/datasets/d", "").status == 404 {
        daemon.done("POST", "/v1/datasets", r#"{"name":"d"}"#);
    }
    daemon
}

/// One client, what it knows to be durable, and what may be.
struct Writer {
    random: Random,
    name: String,
    /// Bytes of its file as of the last COMMIT that was answered.
    durable: Vec<u8>,
    /// Writes since then: each byte of them may be there or not.
    pending: Vec<(usize, Vec<u8>)>,
    /// Names whose creation was answered.
    names: HashSet<String>,
}

impl Writer {
    fn new(number: u64) -> Self {
        let random = Random::new(number + 1000);
        Self { random, name: format!("file{number}"), durable: Vec::new(), pending: Vec::new(), names: HashSet::new() }
    }

    /// Writes until the server is gone; returns the number of commits that were answered.
    fn run(&mut self, server: SocketAddr) -> u64 {
        let mut commits = 0;
        let _: Outcome<()> = self.write(server, &mut commits);
        commits
    }

    fn write(&mut self, server: SocketAddr, commits: &mut u64) -> Outcome<()> {
        let mut client = Client::connect(server)?;
        let root = client.mount("/d")?;
        let file = client.create(&root, self.name.as_bytes(), false, &Set::default())?;
        loop {
            for _ in 0..=self.random.below(6) {
                self.write_piece(&mut client, &file)?;
            }
            client.commit(&file)?;
            *commits += 1;
            for (at, bytes) in self.pending.drain(..) {
                overlay(&mut self.durable, at, &bytes);
            }
            if self.random.below(4) == 0 {
                self.create_some(&mut client, &root)?;
            }
        }
    }

    /// Creates files with several calls in flight, which share flushes.
    fn create_some(&mut self, client: &mut Client, root: &Handle) -> Outcome<()> {
        let count = self.random.below(24) + 1;
        let new: Vec<String> = (0..count).map(|_| format!("{}-{}", self.name, self.random.below(1 << 40))).collect();
        let calls = new.iter().map(|name| Call::create(root, name.as_bytes(), 1, &Set::default()));
        client.pipeline(12, calls, |place, results| {
            Reader(&results?).status()?;
            self.names.insert(new[place].clone());
            Ok(())
        })
    }

    fn write_piece(&mut self, client: &mut Client, file: &Handle) -> Outcome<()> {
        let length = self.random.below(WRITE_LEN_MAX) as usize + 1;
        let at = self.random.below((FILE_LEN - length) as u64) as usize;
        let bytes = self.random.bytes(length);
        // What is sent may be done even when no answer comes.
        self.pending.push((at, bytes.clone()));
        let stable = [Stable::No, Stable::No, Stable::Data, Stable::File][self.random.below(4) as usize];
        client.write(file, at as u64, &bytes, stable)?;
        Ok(())
    }

    /// Compares what the server has now, and goes on from there.
    fn check(&mut self, server: SocketAddr, round: u64) {
        let mut client = Client::connect(server).unwrap();
        let root = client.mount("/d").unwrap();
        for name in &self.names {
            client.lookup(&root, name.as_bytes()).unwrap_or_else(|error| panic!("round {round}: {name}: {error}"));
        }
        let Ok((file, _)) = client.lookup(&root, self.name.as_bytes()) else {
            assert!(self.durable.is_empty(), "round {round}: {} is gone", self.name);
            self.pending.clear();
            return;
        };
        let (found, _) = client.read(&file, 0, FILE_LEN as u32).unwrap();
        assert!(found.len() >= self.durable.len(), "round {round}: {} is {} bytes long", self.name, found.len());
        self.durable.resize(found.len(), 0);
        let may_be = |at: usize| {
            let written = |(start, bytes): &(usize, Vec<u8>)| bytes.get(at.wrapping_sub(*start)) == Some(&found[at]);
            found[at] == self.durable[at] || self.pending.iter().any(written)
        };
        let wrong = (0..found.len()).find(|at| !may_be(*at));
        assert_eq!(wrong, None, "round {round}: {} is not what was acknowledged", self.name);
        self.durable = found;
        self.pending.clear();
    }
}

fn overlay(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    content.resize(content.len().max(at + bytes.len()), 0);
    content[at..at + bytes.len()].copy_from_slice(bytes);
}
