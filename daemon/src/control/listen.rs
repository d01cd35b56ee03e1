//! The sockets that the API listens on.
//!
//! Invariant: at no moment can anybody connect to the unix socket whom its mode does not admit, and the socket of
//! another daemon that still listens is not taken away.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::Mode;

use crate::control::http::Listener;

/// Listens on a unix socket of that mode, in place of one that nobody listens on any more.
pub fn unix(path: &Path, mode: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    // Nobody may connect until the mode is the right one. Files that other threads make meanwhile are too private
    // rather than too open.
    let before = rustix::process::umask(Mode::from_raw_mode(0o777));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(Listener::Unix(listener, Some(path.to_owned())))
}

/// Listens on a TCP address.
pub fn tcp(address: SocketAddr) -> io::Result<Listener> {
    TcpListener::bind(address).map(Listener::Tcp)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of that name that is no socket"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_listens_on_is_replaced() {
        let path = std::env::temp_dir().join(format!("cow-listen-test-{}", std::process::id()));
        fs::write(&path, "a file").unwrap();
        assert!(unix(&path, 0o660).is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists));
        fs::remove_file(&path).unwrap();
        let first = unix(&path, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(unix(&path, 0o660).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        drop(first);
        assert!(path.exists(), "the socket of a daemon that was killed stays");
        drop(unix(&path, 0o660).unwrap());
        fs::remove_file(&path).unwrap();
    }
}
