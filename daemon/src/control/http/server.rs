//! Takes connections on unix and TCP sockets, a thread each.
//!
//! Invariant: nothing that a peer does ends the accepting threads; connections beyond the bound are closed at once.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::control::http::connection;
use crate::control::http::incoming::Refusal;
use crate::control::http::socket::Socket;
use crate::control::http::{Limits, Request, Response};

/// How long to wait after accepting failed, as for lack of files.
const BACK_OFF: Duration = Duration::from_millis(20);
/// How long [`Server::stop`] waits for answers under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Answers requests.
pub trait Handler: Send + Sync {
    /// The answer to a request.
    fn answer(&self, request: Request) -> Response;
    /// The answer to what is no request.
    fn refuse(&self, refusal: &Refusal) -> Response;
    /// Most bytes of the body of a request to a target, by its cookie, where it may be larger than the limits say.
    fn body_bytes_max(&self, _target: &str, _cookie: Option<&str>) -> Option<usize> {
        None
    }
    /// The answer where [`Handler::answer`] panicked.
    fn panicked(&self) -> Response;
}

/// Where connections come in.
pub enum Listener {
    /// A unix socket, and the path to remove in the end; without one, it is the service manager's and goes on.
    Unix(UnixListener, Option<PathBuf>),
    /// A TCP socket.
    Tcp(TcpListener),
}

impl Listener {
    /// The address of a TCP listener.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(..) => None,
            Self::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
        }
    }

    /// Ends an accept that waits. Returns whether that is sure.
    fn wake(&self) -> bool {
        use rustix::net::{Shutdown, shutdown};
        match self {
            // Shut down, it would be dead for the service manager too: it is woken by a connection instead.
            Self::Unix(listener, None) => {
                listener.local_addr().and_then(|address| UnixStream::connect_addr(&address)).is_ok()
            }
            Self::Unix(listener, Some(_)) => shutdown(listener.as_fd(), Shutdown::Both).is_ok(),
            Self::Tcp(listener) => shutdown(listener.as_fd(), Shutdown::Both).is_ok(),
        }
    }
}

struct Shared {
    handler: Box<dyn Handler>,
    limits: Limits,
    is_stopping: AtomicBool,
    connections: Mutex<HashMap<u64, Socket>>,
    emptied: Condvar,
    count: AtomicU64,
}

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    accepting: Vec<(Arc<Listener>, JoinHandle<()>)>,
}

impl Server {
    /// Serves what comes in on `listeners`.
    pub fn start(listeners: Vec<Listener>, handler: Box<dyn Handler>, limits: Limits) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            handler,
            limits,
            is_stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            emptied: Condvar::new(),
            count: AtomicU64::new(0),
        });
        let mut server = Self { shared, accepting: Vec::new() };
        for listener in listeners.into_iter().map(Arc::new) {
            let (shared, accepted) = (server.shared.clone(), listener.clone());
            let accept = thread::Builder::new().name("control-accept".to_owned());
            server.accepting.push((listener, accept.spawn(move || shared.accept(&accepted))?));
        }
        Ok(server)
    }

    /// The address of the TCP listener, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.accepting.iter().find_map(|(listener, _)| listener.address())
    }

    /// Takes no more requests, and lets those end that are being answered.
    pub fn stop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        for (listener, thread) in self.accepting.drain(..) {
            if listener.wake() {
                let _ = thread.join();
            }
            if let Listener::Unix(_, Some(path)) = &*listener {
                let _ = std::fs::remove_file(path);
            }
        }
        let mut connections = self.shared.connections.lock();
        // Those that wait for a request find the end; those that answer one find it afterwards.
        connections.values().for_each(|socket| drop(socket.shutdown(Shutdown::Read)));
        let is_open = |connections: &mut HashMap<_, _>| !connections.is_empty();
        self.shared.emptied.wait_while_for(&mut connections, is_open, STOP_TIME_MAX);
        connections.values().for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &Listener) {
        loop {
            let accepted = listener.accept();
            if self.is_stopping.load(Ordering::Acquire) {
                return;
            }
            match accepted {
                // A connection that cannot be taken on is closed, which is all that can be said to it.
                Ok(socket) => drop(self.take_on(socket)),
                Err(_) => thread::sleep(BACK_OFF),
            }
        }
    }

    fn take_on(self: &Arc<Self>, socket: Socket) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut connections = self.connections.lock();
        if connections.len() >= self.limits.connections {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        connections.insert(number, socket.try_clone()?);
        drop(connections);
        let shared = self.clone();
        let serve = move || {
            let _forgotten_at_the_end = Registered { shared: &shared, number };
            connection::serve(socket, &*shared.handler, &shared.limits, &shared.is_stopping);
        };
        let spawned = thread::Builder::new().name(format!("control-{number}")).spawn(serve);
        spawned.map(drop).inspect_err(|_| self.forget(number))
    }

    fn forget(&self, number: u64) {
        let mut connections = self.connections.lock();
        connections.remove(&number);
        if connections.is_empty() {
            self.emptied.notify_all();
        }
    }
}

/// A connection that is among those that are counted.
struct Registered<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.shared.forget(self.number);
    }
}
