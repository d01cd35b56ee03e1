//! The daemon's configuration: defaults, then the file, then the command line.
//!
//! Invariant: every key is one row of [`keys`], from which the file is read, the flags are made and the commented
//! default is printed; so none can be undocumented, and none that is misspelt passes.

mod arguments;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod keys;
mod nearest;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cow_storage::pool::Budgets;

pub use crate::config::arguments::{Arguments, Command, UsageError, help};
pub use crate::config::file::{ConfigError, default_file};
use crate::logging::Logging;
use crate::shares::{Access, Rule, Squash};

/// Where the file is looked for.
pub const DEFAULT_PATH: &str = "/etc/cow/cowd.toml";

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory of the pool.
    pub pool: PathBuf,
    /// Bytes in a segment file of a pool that is made.
    pub segment_size: u64,
    /// Bytes in the intent log of a pool that is made.
    pub intent_size: u64,
    /// What may be kept in memory.
    pub memory: Budgets,
    /// Most time between two commits.
    pub commit_interval: Duration,
    /// How long what was destroyed can be undeleted.
    pub undelete_window: Duration,
    /// How long nothing must have been asked before memory is given back; zero is never.
    pub quiet_after: Duration,
    /// How long after a scrub has ended the next one begins; zero is never.
    pub scrub_interval: Duration,
    /// Most bytes that scrubbing reads in a second.
    pub scrub_rate: u64,
    /// Where NFS listens.
    pub nfs: SocketAddr,
    /// Whether the host's rpcbind is told where NFS listens.
    pub rpcbind: bool,
    /// Most NFS connections.
    pub connections_max: usize,
    /// How long clients have after a restart to take back the locks that they held.
    pub grace_period: Duration,
    /// Where to stand in for rpcbind, if anywhere.
    pub portmapper: Option<SocketAddr>,
    /// Who may use the shares.
    pub exports: Access,
    /// The control API's socket.
    pub control: PathBuf,
    /// Permission bits of the socket.
    pub control_mode: u32,
    /// Where the control API listens for HTTP over TCP, if it does.
    pub http: Option<SocketAddr>,
    /// The file with the token that callers over TCP must know.
    pub token_file: Option<PathBuf>,
    /// How plugins are run.
    pub plugins: Plugins,
    /// Most jobs that run at once.
    pub jobs_running_max: usize,
    /// Most jobs that are remembered after they have ended.
    pub jobs_kept_max: usize,
    /// Most actions that are remembered.
    pub actions_kept_max: u64,
    /// How long actions are remembered.
    pub actions_kept_time: Duration,
    /// What is logged, and how.
    pub log: Logging,
}

/// How plugins are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins {
    /// The interpreter of Python 3.11.
    pub python311: Option<PathBuf>,
    /// The interpreter of Python 3.8.
    pub python38: Option<PathBuf>,
    /// The interpreter of Python 2.7.
    pub python27: Option<PathBuf>,
    /// How long an operation may take, without what it waits for hosts.
    pub timeout: Duration,
    /// Bytes of memory that a plugin's process may have.
    pub memory: u64,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            python311: Some("/usr/bin/python3.11".into()),
            python38: None,
            python27: None,
            timeout: Duration::from_hours(4),
            memory: 2 << 30,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let rule = |network: &str| Rule {
            network: network.parse().expect("the network is well formed"),
            writable: true,
            squash: Squash::None,
        };
        Self {
            pool: "/var/lib/cow/pool".into(),
            segment_size: 64 << 20,
            intent_size: 256 << 20,
            memory: Budgets::default(),
            commit_interval: Duration::from_secs(5),
            undelete_window: Duration::from_hours(24),
            quiet_after: Duration::from_mins(5),
            scrub_interval: Duration::ZERO,
            scrub_rate: 50 << 20,
            nfs: SocketAddr::from(([0; 16], 2049)),
            rpcbind: false,
            connections_max: 2048,
            grace_period: Duration::from_secs(45),
            portmapper: None,
            exports: Access { rules: vec![rule("127.0.0.0/8"), rule("::1")], ..Access::default() },
            control: "/run/cow/control.sock".into(),
            control_mode: 0o660,
            http: None,
            token_file: None,
            plugins: Plugins::default(),
            jobs_running_max: 4,
            jobs_kept_max: 1000,
            actions_kept_max: 10_000,
            actions_kept_time: Duration::from_hours(365 * 24),
            log: Logging::default(),
        }
    }
}

impl Config {
    /// What no key's own value shows: keys that do not go together.
    fn check(&self) -> Result<(), String> {
        let in_segment = (1 << 20..=64 << 20).contains(&self.segment_size) && self.segment_size.is_multiple_of(1 << 20);
        if !in_segment {
            return Err("pool.segment_size must be 1 MiB to 64 MiB, in whole MiB".to_owned());
        }
        if self.intent_size < 8 << 20 || !self.intent_size.is_multiple_of(1 << 20) {
            return Err("pool.intent_size must be at least 8 MiB, in whole MiB".to_owned());
        }
        if self.http.is_some() && self.token_file.is_none() {
            return Err("control.http needs control.token_file: whoever can connect could do anything".to_owned());
        }
        if self.pool.as_os_str().is_empty() || self.control.as_os_str().is_empty() {
            return Err("pool.path and control.socket must not be empty".to_owned());
        }
        Ok(())
    }
}

/// A message on one line, whatever it quotes.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}
