//! Commands and files on hosts over a real sshd, each test in a lab of its own.

mod calls;
mod failures;
mod secrets;
mod steps;

use std::fs;
use std::path::PathBuf;

use cow_tests::hosts::{Lab, PASSWORD};
use cowd::hosts::{Command, Control, Credential, Finished, Hosts, Patient, Target};
use cowd::secrets::Secret;

/// A lab that this thread is in, and what works on its hosts.
struct Bench {
    hosts: Hosts,
    lab: Lab,
}

impl Bench {
    fn new(name: &str, count: usize) -> Option<Self> {
        let lab = Lab::new(name, count)?;
        lab.enter();
        let hosts = Hosts::new(&sockets(&lab)).unwrap();
        Some(Self { hosts, lab })
    }

    /// `deploy` on a host, by key.
    fn deploy(&self, number: usize) -> Target {
        let key = Secret::new(fs::read_to_string(self.lab.key()).unwrap());
        self.target(number, "deploy", Credential::PrivateKey(key))
    }

    fn target(&self, number: usize, user: &str, credential: Credential) -> Target {
        let host = self.lab.host(number);
        Target {
            environment: number as u64,
            name: host.name(),
            address: host.address(),
            port: 22,
            user: user.to_owned(),
            credential,
            host_key: Some(self.hosts.scan_key(&host.address(), 22, &Patient).unwrap()),
            toolkit: "/home/deploy/toolkit".to_owned(),
            toolkit_id: "0a1b".to_owned(),
        }
    }

    fn by_password(&self, number: usize, user: &str) -> Target {
        self.target(number, user, Credential::Password(Secret::new(PASSWORD)))
    }

    /// What bash comes to on h1.
    fn run(&self, target: &Target, command: &Command) -> Finished {
        self.hosts.run(target, command, &Patient).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What it prints; it must end with 0.
    fn said(&self, target: &Target, text: &str) -> String {
        let finished = self.run(target, &Command::new(text));
        assert_eq!(finished.exit_code, 0, "{text}: {}", String::from_utf8_lossy(&finished.stderr));
        String::from_utf8(finished.stdout).unwrap()
    }
}

fn sockets(lab: &Lab) -> PathBuf {
    lab.folder().join("ssh")
}

/// Ends a call after some time.
struct Deadline(std::time::Instant);

impl Control for Deadline {
    fn is_cancelled(&self) -> bool {
        std::time::Instant::now() >= self.0
    }
}

/// Hears how far a copy is.
#[derive(Debug, Default)]
struct Heard(std::sync::atomic::AtomicU64);

impl Control for Heard {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn copied(&self, bytes: u64) {
        self.0.store(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}
