//! Tells the service manager how the daemon is (`sd_notify`), where there is one.
//!
//! Invariant: nothing here fails the daemon: a manager that does not listen is no reason to stop.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

/// The service manager.
#[derive(Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The one that the environment names, if any.
    pub fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|path| connect(&path));
        let variable = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let for_us = variable("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = variable("WATCHDOG_USEC").filter(|_| for_us && socket.is_some()).map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// One that sends to a datagram socket, for tests.
    pub fn to(socket: &OsStr, watchdog: Option<Duration>) -> Self {
        Self { socket: connect(socket), watchdog }
    }

    /// How often [`Notifier::alive`] must be called, if the manager wants to hear it.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon serves.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// What the daemon is doing, for people.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}"));
    }

    /// The daemon is going away; that it takes a while is no reason to kill it.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    /// The daemon still gets on.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// A path, or with `@` in front a name in the abstract namespace.
fn connect(to: &OsStr) -> Option<UnixDatagram> {
    let address = match to.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
        _ => SocketAddr::from_pathname(to).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address).ok()?;
    // A manager that hangs must not take the daemon with it.
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_the_manager_expects_them() {
        let name = format!("cow-notify-test-{}", process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let received = || {
            let mut buffer = [0; 256];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        let notifier = Notifier::to(OsStr::new(&format!("@{name}")), Some(Duration::from_secs(1)));
        notifier.ready("serving 3 datasets");
        assert_eq!(received(), "READY=1\nSTATUS=serving 3 datasets");
        notifier.alive();
        assert_eq!(received(), "WATCHDOG=1");
        notifier.stopping();
        assert_eq!(received(), "STOPPING=1\nSTATUS=stopping");
        // Without a watchdog there is nothing to feed, and without a manager nobody to tell.
        Notifier::to(OsStr::new(&format!("@{name}")), None).alive();
        Notifier::to(OsStr::new("/nonexistent/socket"), None).ready("");
        manager.set_nonblocking(true).unwrap();
        assert!(manager.recv(&mut [0]).is_err());
    }
}
