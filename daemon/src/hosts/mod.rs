//! Commands and files on other hosts, over ssh.
//!
//! The system's OpenSSH client carries it: it is mature, knows what hosts and sites are set up for, and needs no runtime in
//! here. Each user of a host has one connection, through which all calls go.
//!
//! Invariant: a call takes no longer than its caller allows, whatever its host does, and holds up no call on another host. No
//! credential, command or variable is in the arguments or the environment of a program, or in a file.

mod command;
mod error;
mod privileged;
mod ssh;
mod sync;
mod target;

use std::io;
use std::path::{Path, PathBuf};

pub use crate::hosts::command::{Command, Control, Finished, Outcome, Patient};
pub use crate::hosts::error::{HostError, Why};
pub use crate::hosts::privileged::{MountPoint, RemoteMount};
pub use crate::hosts::sync::{Pull, Push};
pub use crate::hosts::target::{Credential, Target};

/// All connections to hosts.
pub struct Hosts {
    directory: PathBuf,
}

impl Hosts {
    /// No connections yet. Their sockets go to `directory`, which only this user may enter; its path must be short.
    pub fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: directory.to_owned() })
    }

    /// Where the sockets are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends all connections, and all calls that go through them.
    pub fn close(&self) {}
}
