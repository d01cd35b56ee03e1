//! The server: takes connections and never stops doing so.
//!
//! Invariant: nothing that a peer does ends the accepting thread; connections and threads are bounded,
//! and a connection beyond the bound is closed at once.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::net::sockopt;

use crate::locks;
use crate::nfs::buffers::Buffers;
use crate::nfs::clients::{self, Client};
use crate::nfs::connection::{Connection, STALL_TIME};
use crate::nfs::counters::{Counters, Counting};
use crate::nfs::datagrams::Datagrams;
use crate::nfs::handle::HandleKey;
use crate::nfs::mount::Mounts;
use crate::nfs::nlm::{LockSetup, Locking};
use crate::nfs::polling::Polling;
use crate::nfs::replay::Replay;
use crate::nfs::service::Service;
use crate::nfs::uses::Uses;
use crate::shares::Views;

/// Connections that may wait to be taken.
const BACKLOG: i32 = 4096;
/// How long to wait after the system had no room for one more connection.
const BACK_OFF: Duration = Duration::from_millis(20);
/// How long [`Server::shutdown`] waits for calls that run.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);
/// Quiet time after which the system asks whether a peer still lives.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How many clients it takes, at least, to use up the connections.
const CLIENTS_MIN: usize = 4;

/// What the server takes on at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections; those of one client are a quarter of them at most.
    pub connections: usize,
    /// Calls of one connection that run at once.
    pub threads_per_connection: usize,
    /// Threads besides one for each connection.
    pub extra_threads: usize,
    /// Bytes of buffers for calls and replies longer than 9 KiB.
    pub buffer_bytes: usize,
    /// Replies kept for calls that are sent again.
    pub replies: usize,
    /// Bytes of them.
    pub reply_bytes: usize,
    /// Quiet time after which a connection is closed.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            threads_per_connection: 8,
            extra_threads: 512,
            buffer_bytes: 128 << 20,
            replies: 64 << 10,
            reply_bytes: 32 << 20,
            idle_time: Duration::from_secs(3600),
        }
    }
}

/// What all threads of the server share.
pub struct Shared {
    pub(super) service: Service,
    pub(super) limits: Limits,
    /// Threads besides one for each connection.
    pub(super) threads: AtomicUsize,
    /// By the peer and our port.
    connections: Mutex<HashMap<(SocketAddr, u16), Arc<Connection>>>,
    emptied: Condvar,
    is_stopping: AtomicBool,
    spawned: AtomicU64,
    pub(super) polling: Polling,
}

/// A running server. Dropping it shuts it down.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Vec<(Arc<TcpListener>, JoinHandle<()>)>,
    datagrams: Vec<Datagrams>,
}

impl Server {
    /// The same, with locks that nobody else sees and that end with the process.
    pub fn start(
        listen: SocketAddr,
        views: Arc<dyn Views>,
        handle_secret: [u8; 32],
        limits: Limits,
    ) -> io::Result<Self> {
        Self::start_with_locks(listen, views, handle_secret, limits, LockSetup::default())
    }

    /// Serves NFS, MOUNT and NLM on `listen`. `handle_secret` must be the same after a restart, or clients
    /// lose their files.
    pub fn start_with_locks(
        listen: SocketAddr,
        views: Arc<dyn Views>,
        handle_secret: [u8; 32],
        limits: Limits,
        locks: LockSetup,
    ) -> io::Result<Self> {
        let listener = listener(listen)?;
        let service = Service {
            views,
            key: HandleKey::new(handle_secret),
            buffers: Buffers::new(limits.buffer_bytes),
            replay: Replay::new(limits.replies, limits.reply_bytes),
            counting: Counting::default(),
            mounts: Mounts::default(),
            uses: Uses::default(),
            locking: Locking::start(locks)?,
            portmapped: OnceLock::new(),
        };
        let shared = Arc::new(Shared {
            service,
            limits,
            threads: AtomicUsize::new(0),
            connections: Mutex::default(),
            emptied: Condvar::new(),
            is_stopping: AtomicBool::new(false),
            spawned: AtomicU64::new(0),
            polling: Polling::new(std::thread::available_parallelism().map_or(1, usize::from)),
        });
        let address = listener.local_addr()?;
        let mut server = Self { shared, address, listening: Vec::new(), datagrams: Vec::new() };
        server.accept_from(listener)?;
        Ok(server)
    }

    /// Takes the notices of clients that have restarted by UDP too, at the port of NFS: they send them in no other way.
    pub fn serve_notices(&mut self) -> io::Result<()> {
        self.datagrams.push(Datagrams::start(self.address, self.shared.clone())?);
        Ok(())
    }

    /// Stands in for rpcbind at an address too, by TCP and UDP. Returns the address: port 0 is any.
    pub fn serve_portmapper(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let _ = self.shared.service.portmapped.set(self.address.port());
        let listener = listener(address)?;
        let address = listener.local_addr()?;
        self.datagrams.push(Datagrams::start(address, self.shared.clone())?);
        self.accept_from(listener)?;
        Ok(address)
    }

    fn accept_from(&mut self, listener: TcpListener) -> io::Result<()> {
        let listener = Arc::new(listener);
        let accepting = self.shared.spawn("nfs-accept", {
            let (shared, listener) = (self.shared.clone(), listener.clone());
            move || shared.accept(&listener)
        })?;
        self.listening.push((listener, accepting));
        Ok(())
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().len()
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        let service = &self.shared.service;
        let connections = self.shared.connections.lock().len() as u64;
        let traffic = clients::traffic(&service.uses, &*service.views);
        let (grants, grants_lost) = service.locking.granter().counts();
        let counters = service.counting.snapshot(connections, service.buffers.in_use() as u64, traffic);
        Counters { grants, grants_lost, ..counters }
    }

    /// Who is connected or has mounted something; by address.
    pub fn clients(&self) -> Vec<Client> {
        let service = &self.shared.service;
        let connections = self.shared.connections.lock();
        let connected = connections.values().map(|connection| (connection.peer().ip(), connection.since)).collect();
        drop(connections);
        clients::list(connected, service.mounts.list(), service.uses.list(), &*service.views)
    }

    /// Takes all locks of a client, which cannot take them back after a restart either. Returns how many there were.
    pub fn release_locks(&self, client: &locks::Client) -> usize {
        self.shared.service.locking.release(client, "an administrator released them")
    }

    /// Gives memory back that is only kept to be used again.
    pub fn release_memory(&self) {
        self.shared.service.buffers.release();
    }

    /// Takes no more connections and calls, lets those that run end, and closes everything.
    pub fn shutdown(&mut self) {
        if self.listening.is_empty() {
            return;
        }
        self.shared.is_stopping.store(true, Ordering::Release);
        self.datagrams.clear();
        for (listener, accepting) in self.listening.drain(..) {
            // Ends the accept that waits; should the system not, one more connection does.
            let _ = rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both);
            if let Ok(address) = listener.local_addr() {
                let _ = TcpStream::connect_timeout(&address, Duration::from_millis(100));
            }
            let _ = accepting.join();
        }
        self.shared.service.locking.stop();
        let mut connections = self.shared.connections.lock();
        connections.values().for_each(|connection| connection.stop_reading());
        let is_open = |connections: &mut HashMap<_, _>| !connections.is_empty();
        self.shared.emptied.wait_while_for(&mut connections, is_open, SHUTDOWN_TIME_MAX);
        connections.values().for_each(|connection| connection.end());
    }
}

impl AsRef<Service> for Shared {
    fn as_ref(&self) -> &Service {
        &self.service
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.is_stopping.load(Ordering::Acquire) {
                return;
            }
            match accepted {
                Ok((stream, peer)) => {
                    // A peer that has gone meanwhile shows up here or at the first read; either ends only it.
                    if self.take_on(stream, peer).is_err() {
                        self.service.counting.turned_away.add(1);
                    }
                }
                // Most errors are a peer's that has gone already; those of our own system's want a pause.
                Err(error) if is_shortage(&error) => std::thread::sleep(BACK_OFF),
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    fn take_on(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL_TIME))?;
        stream.set_write_timeout(Some(STALL_TIME))?;
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
        let connection = Connection::new(self.clone(), stream, peer);
        let mut connections = self.connections.lock();
        let of_client = connections.keys().filter(|(other, _)| other.ip() == peer.ip()).count();
        if connections.len() >= self.limits.connections || of_client >= self.limits.connections.div_ceil(CLIENTS_MIN) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        // The system gives a port again only when the old connection is closed: its threads are ending.
        if let Some(old) = connections.insert(connection.ends(), connection.clone()) {
            old.end();
        }
        drop(connections);
        self.service.counting.accepted.add(1);
        let serving = connection.clone();
        self.spawn("nfs-serve", move || serving.serve()).map(drop).inspect_err(|_| self.forget(&connection))
    }

    /// Drops a connection that has ended.
    pub fn forget(&self, connection: &Arc<Connection>) {
        let mut connections = self.connections.lock();
        if connections.get(&connection.ends()).is_some_and(|found| Arc::ptr_eq(found, connection)) {
            connections.remove(&connection.ends());
        }
        if connections.is_empty() {
            self.emptied.notify_all();
        }
    }

    /// Begins a thread.
    pub fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        let number = self.spawned.fetch_add(1, Ordering::Relaxed);
        std::thread::Builder::new().name(format!("{name}-{number}")).spawn(run)
    }
}

/// Many clients come back at once after a restart; what does not fit the queue waits a second and more.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Whether accepting failed for lack of files or memory.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortage = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| shortage.contains(&errno))
}
