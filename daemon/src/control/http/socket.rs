//! A connection's socket, of either kind.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;

use crate::control::http::Transport;

/// A connection's socket.
pub enum Socket {
    /// A unix socket.
    Unix(UnixStream),
    /// A TCP socket.
    Tcp(TcpStream),
}

impl Socket {
    /// How requests on it come.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Unix(_) => Transport::Unix,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    /// Who is at its other end, as far as the kernel knows.
    pub fn peer(&self) -> String {
        match self {
            Self::Unix(stream) => socket_peercred(stream)
                .map_or_else(|_| "unknown".to_owned(), |peer| format!("uid {}", peer.uid.as_raw())),
            Self::Tcp(stream) => {
                stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |peer| peer.ip().to_canonical().to_string())
            }
        }
    }

    /// One more handle of the same connection.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// How long one read may take.
    pub fn set_read_timeout(&self, time: Duration) -> io::Result<()> {
        // Zero would mean for ever.
        let time = Some(time.max(Duration::from_millis(1)));
        match self {
            Self::Unix(stream) => stream.set_read_timeout(time),
            Self::Tcp(stream) => stream.set_read_timeout(time),
        }
    }

    /// How long one write may take.
    pub fn set_write_timeout(&self, time: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_write_timeout(Some(time)),
            Self::Tcp(stream) => stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(time))),
        }
    }

    /// Ends reading, writing or both, for all handles.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
