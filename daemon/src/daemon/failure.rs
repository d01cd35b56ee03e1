//! Why the daemon does not start, and what to do about it.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;

use cow_api::v1::{Code, Problem};

use crate::config::{Config, ConfigError};
use crate::control;
use crate::control::http::Listener;
use crate::logging::Chain;

/// What helps where a thread could not be begun.
pub const THREADS: &str = "the host allows no more threads: look at TasksMax and ulimit -u";

/// A failure to start, in one line with its causes.
pub fn failure(error: &dyn Error, hint: &str) -> Problem {
    Problem::new(Code::Io, Chain(error).to_string()).with_hint(hint)
}

/// A configuration that makes no sense.
pub fn config_failure(error: &ConfigError) -> Problem {
    let problem = Problem::new(Code::InvalidRequest, Chain(error).to_string());
    problem.with_hint("'cowd default-config' prints every key with its meaning")
}

/// The sockets of the control API, and the TCP address among them.
pub fn listeners(config: &Config, given: Option<UnixListener>) -> Result<(Vec<Listener>, Option<SocketAddr>), Problem> {
    let given = given.map(|listener| Ok(Listener::Unix(listener, None)));
    let socket = given.unwrap_or_else(|| control::unix(&config.control, config.control_mode));
    let path = config.control.display();
    let socket = socket.map_err(|error| not_listening(&error, &format!("the control socket {path}"), SOCKET_HINTS))?;
    let mut listeners = vec![socket];
    let mut address = None;
    if let Some(wanted) = config.http {
        let listener = control::tcp(wanted);
        let listener = listener.map_err(|error| not_listening(&error, &format!("http {wanted}"), HTTP_HINTS))?;
        address = listener.address();
        listeners.push(listener);
    }
    Ok((listeners, address))
}

/// NFS cannot listen.
pub fn nfs_not_listening(error: &io::Error, address: SocketAddr) -> Problem {
    not_listening(error, &format!("nfs {address}"), NFS_HINTS)
}

/// What helps when listening fails: where the address is taken, where it is not allowed, and else.
type Hints = [&'static str; 3];

const SOCKET_HINTS: Hints = [
    "stop the other daemon, or give another path with --control",
    "cowd needs to write in that directory: give another path with --control",
    "the directory must be there: give another path with --control",
];
const HTTP_HINTS: Hints = [
    "give another port with --http",
    "ports below 1024 need the capability CAP_NET_BIND_SERVICE: give another one with --http",
    "the address must be one of this host's: give another one with --http",
];
const NFS_HINTS: Hints = [
    "another NFS server listens there, perhaps the kernel's: give another port with --nfs",
    "ports below 1024 need the capability CAP_NET_BIND_SERVICE: give another one with --nfs",
    "the address must be one of this host's: give another one with --nfs",
];

fn not_listening(error: &io::Error, what: &str, hints: Hints) -> Problem {
    let (code, hint) = match error.kind() {
        ErrorKind::AddrInUse | ErrorKind::AlreadyExists => (Code::Exists, hints[0]),
        ErrorKind::PermissionDenied => (Code::PermissionDenied, hints[1]),
        _ => (Code::Io, hints[2]),
    };
    Problem::new(code, format!("cannot listen at {what}: {error}")).with_hint(hint)
}
