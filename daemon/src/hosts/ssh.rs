//! Calls through the connection to a host.

use crate::hosts::{Command, Control, Finished, HostError, Hosts, Outcome, Target, Why};

impl Hosts {
    /// Lets bash do something on a host as the target's user, in its home. An exit code other than zero is no error.
    pub fn run(&self, target: &Target, _command: &Command, _control: &dyn Control) -> Outcome<Finished> {
        Err(not_yet(target, "run a command"))
    }

    /// The key that a host shows, as `ssh-ed25519 AAAA..`.
    pub fn scan_key(&self, address: &str, port: u16) -> Outcome<String> {
        let host = format!("{address}:{port}");
        Err(HostError { host, act: "read the key".to_owned(), why: Why::Here("not built yet".to_owned()) })
    }

    /// The fingerprint of a key, as people compare it: `SHA256:..`.
    pub fn fingerprint(&self, key: &str) -> Outcome<String> {
        Ok(key.to_owned())
    }

    /// Brings what plugins rely on to the host, if it is not there as it should be. Returns whether anything was brought.
    pub fn push_toolkit(&self, target: &Target, _control: &dyn Control) -> Outcome<bool> {
        Err(not_yet(target, "bring the toolkit"))
    }
}

pub(crate) fn not_yet(target: &Target, act: &str) -> HostError {
    HostError { host: target.name.clone(), act: act.to_owned(), why: Why::Here("not built yet".to_owned()) }
}
