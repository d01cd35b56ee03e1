//! Commands and files on other hosts, over ssh.
//!
//! The system's OpenSSH client carries it: it is mature, knows what hosts and sites are set up for, and needs no runtime in
//! here. Each user of a host has one connection, through which all calls go.
//!
//! Invariant: a call takes no longer than its caller allows, whatever its host does, and holds up no call on another host. No
//! credential, command or variable is in the arguments or the environment of a program here, or in a file.

mod command;
mod connection;
mod error;
mod hidden;
mod keys;
mod privileged;
mod process;
mod ssh;
mod sync;
mod target;
mod toolkit;
mod wire;

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use crate::hosts::command::{Command, Control, Finished, Outcome, Patient};
use crate::hosts::connection::Connection;
pub use crate::hosts::error::{HostError, Why};
pub use crate::hosts::privileged::{MountPoint, RemoteMount};
pub use crate::hosts::sync::{Pull, Push};
pub use crate::hosts::target::{Credential, Target};
pub use crate::hosts::toolkit::Facts;
pub use crate::hosts::wire::quoted;

/// Longest that a connection stays without use.
const IDLE_TIME_MAX: Duration = Duration::from_secs(600);
/// The longest path of a directory for sockets: theirs have at most 107 bytes, and ssh adds 17 for a moment.
const DIRECTORY_LEN_MAX: usize = 70;

/// All connections to hosts.
pub struct Hosts {
    directory: PathBuf,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// By what they are made of.
    open: HashMap<[u8; 32], Entry>,
    made: u64,
    is_closed: bool,
}

struct Entry {
    environment: u64,
    connection: Arc<Connection>,
}

impl Hosts {
    /// No connections yet. Their sockets go to `directory`, which is made for this user alone; its path must be short. What
    /// daemons left there that are no more is removed.
    pub fn new(directory: &Path) -> io::Result<Self> {
        if directory.as_os_str().len() > DIRECTORY_LEN_MAX {
            let detail = format!("{} is too long for the directory of sockets", directory.display());
            return Err(io::Error::other(detail));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let metadata = std::fs::symlink_metadata(directory)?;
        let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !is_own || metadata.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other(format!("{} is not cowd's alone", directory.display())));
        }
        for entry in std::fs::read_dir(directory)?.flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.split_once('-')).map(|(process, _)| process);
            if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Self { directory: directory.to_owned(), connections: Mutex::default() })
    }

    /// Ends all connections to a host, which is needed no more or is known otherwise now.
    pub fn forget(&self, environment: u64) {
        let mut connections = self.connections.lock();
        let gone: Vec<Entry> =
            connections.open.extract_if(|_, entry| entry.environment == environment).map(|(_, entry)| entry).collect();
        drop(connections);
        gone.iter().for_each(|entry| entry.connection.close());
    }

    /// Ends all connections, and all calls that go through them. There will be no others.
    pub fn close(&self) {
        let mut connections = self.connections.lock();
        connections.is_closed = true;
        let open = std::mem::take(&mut connections.open);
        drop(connections);
        open.values().for_each(|entry| entry.connection.close());
    }

    /// The connection for a target, which need not be made yet.
    fn connection(&self, target: &Target) -> Result<Arc<Connection>, Why> {
        keys::check_address(&target.address)?;
        if target.user.is_empty() || target.user.starts_with('-') || target.user.contains(['\0', '\n']) {
            return Err(Why::Invalid(format!("'{}' is no user's name", target.user.escape_default())));
        }
        let mut connections = self.connections.lock();
        if connections.is_closed {
            return Err(Why::Here("cowd is stopping".to_owned()));
        }
        let is_idle =
            |entry: &Entry| entry.connection.idle_since().is_some_and(|since| since.elapsed() > IDLE_TIME_MAX);
        let idle: Vec<Entry> = connections.open.extract_if(|_, entry| is_idle(entry)).map(|(_, entry)| entry).collect();
        idle.iter().for_each(|entry| entry.connection.close());
        let key = identity(target);
        if let Some(entry) = connections.open.get(&key) {
            return Ok(entry.connection.clone());
        }
        connections.made += 1;
        let socket = self.directory.join(format!("{}-{}", std::process::id(), connections.made));
        let connection = Arc::new(Connection::new(socket));
        connections.open.insert(key, Entry { environment: target.environment, connection: connection.clone() });
        Ok(connection)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a connection is made of, as a hash: another credential, say, makes another one.
fn identity(target: &Target) -> [u8; 32] {
    let (kind, secret) = match &target.credential {
        Credential::Password(secret) => ("password", secret),
        Credential::PrivateKey(secret) => ("key", secret),
    };
    let port = target.port.to_string();
    let environment = target.environment.to_string();
    let mut hasher = blake3::Hasher::new();
    for part in [
        &environment,
        &target.address,
        &port,
        &target.user,
        kind,
        secret.expose(),
        target.host_key.as_deref().unwrap_or(""),
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
