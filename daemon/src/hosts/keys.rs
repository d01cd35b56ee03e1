//! The keys by which hosts are known.

use std::time::Duration;

use crate::hosts::process::{self, Patience, Process, last_words};
use crate::hosts::{Control, HostError, Hosts, Outcome, Target, Why};

/// Longest that a host may take to show its key.
const TIME_MAX: Duration = Duration::from_secs(15);
/// The kinds of keys, the best first.
const KINDS: [&str; 3] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"];

impl Hosts {
    /// The key that a host shows, as `ssh-ed25519 AAAA..`: the best of those that it has.
    pub fn scan_key(&self, address: &str, port: u16, control: &dyn Control) -> Outcome<String> {
        let failed = |why| HostError { host: format!("{address}:{port}"), act: "read the key".to_owned(), why };
        scan(address, port, control).map_err(failed)
    }

    /// The fingerprint of a key, as people compare it: `SHA256:..`.
    pub fn fingerprint(&self, key: &str) -> Outcome<String> {
        let failed = |why| HostError { host: "this host".to_owned(), act: "read a host's key".to_owned(), why };
        fingerprint(key).map_err(failed)
    }
}

fn scan(address: &str, port: u16, control: &dyn Control) -> Result<String, Why> {
    check_address(address)?;
    let mut command = process::command("ssh-keyscan");
    command.args(["-T", "5", "-t", "ed25519,ecdsa,rsa", "-p", &port.to_string(), address]);
    let patience = Patience::new(Some(TIME_MAX), control);
    let (_, stdout, stderr) = Process::start(command)?.finish(&[], &patience)?;
    let text = String::from_utf8_lossy(&stdout);
    let keys: Vec<&str> = text.lines().filter_map(|line| line.split_once(' ').map(|(_, key)| key.trim())).collect();
    let best = KINDS.iter().find_map(|kind| keys.iter().find(|key| key.starts_with(kind)));
    let silent = || match last_words(&stderr) {
        said if said.is_empty() => Why::Unreachable("no sshd answers there".to_owned()),
        said => Why::Unreachable(said),
    };
    best.map(|key| (*key).to_owned()).ok_or_else(silent)
}

fn fingerprint(key: &str) -> Result<String, Why> {
    let mut command = process::command("ssh-keygen");
    command.args(["-l", "-f", "-"]);
    let patience = Patience::new(Some(TIME_MAX), &crate::hosts::Patient);
    let (status, stdout, stderr) =
        Process::start(command)?.finish(format!("host {}\n", key.trim()).as_bytes(), &patience)?;
    let text = String::from_utf8_lossy(&stdout);
    match text.split_whitespace().find(|word| word.starts_with("SHA256:")) {
        Some(found) if status.success() => Ok(found.to_owned()),
        _ => Err(Why::Invalid(format!("this is no host's key: {}", last_words(&stderr)))),
    }
}

/// Says of a host whose key is not the pinned one what both are.
pub fn changed(target: &Target, control: &dyn Control) -> Why {
    let shown = scan(&target.address, target.port, control).and_then(|key| fingerprint(&key));
    let pinned = target.host_key.as_deref().map_or(Err(Why::UnknownKey), fingerprint);
    let or_unknown = |found: Result<String, Why>| found.unwrap_or_else(|_| "unknown".to_owned());
    Why::ChangedKey { pinned: or_unknown(pinned), shown: or_unknown(shown), environment: target.name.clone() }
}

/// Whether ssh can be given that as a host.
pub fn check_address(address: &str) -> Result<(), Why> {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || ".-:_%".contains(letter);
    if address.is_empty() || address.starts_with('-') || !address.chars().all(is_fine) {
        return Err(Why::Invalid(format!("'{}' is no host's name or address", address.escape_default())));
    }
    Ok(())
}
