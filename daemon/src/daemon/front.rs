//! The NFS server, as the service and the metrics ask it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, io};

use cow_api::time::Time;
use cow_api::v1::{Client, ClientMount, Problem, Traffic};
use cow_storage::pool::Pool;
use parking_lot::{Mutex, RwLock};

use crate::clock;
use crate::config::Config;
use crate::daemon::failure::nfs_not_listening;
use crate::locks::{self, Locks};
use crate::logging::Chain;
use crate::metrics::Page;
use crate::nfs::{self, Limits, LockSetup, Rates, Registration, Server, Totals};
use crate::service::Front;
use crate::shares::Views;

/// What the key of file handles is derived for. Clients lose their files when it changes.
const HANDLES: &str = "nfs file handles";

/// The NFS server.
pub struct Nfs {
    server: RwLock<Server>,
    address: SocketAddr,
    locks: Arc<Locks>,
    /// While rpcbind knows of it.
    registration: Mutex<Option<Registration>>,
}

impl Nfs {
    /// Serves `views` by NFS, with the locks of all fronts.
    pub fn start(config: &Config, views: Arc<dyn Views>, pool: &Pool, locks: Arc<Locks>) -> Result<Self, Problem> {
        let limits = Limits { connections: config.connections_max, ..Limits::default() };
        let start = |address| {
            let (views, key, setup) = (views.clone(), pool.derive_key(HANDLES), lock_setup(config, &locks));
            let mut server = Server::start_with_locks(address, views, key, limits.clone(), setup)?;
            if config.portmapper.is_some() || config.rpcbind {
                serve_lock_clients(&mut server, config.portmapper);
            }
            let address = server.local_addr()?;
            let registration = Mutex::new(config.rpcbind.then(|| register(address)).flatten());
            Ok(Self { server: RwLock::new(server), address, locks: locks.clone(), registration })
        };
        let started = start(config.nfs).or_else(|error: io::Error| {
            // A host without IPv6 has all addresses nevertheless.
            let all = config.nfs.ip().is_unspecified() && config.nfs.is_ipv6();
            let lacks_ipv6 = !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
            if all && lacks_ipv6 { start((Ipv4Addr::UNSPECIFIED, config.nfs.port()).into()) } else { Err(error) }
        });
        started.map_err(|error| nfs_not_listening(&error, config.nfs))
    }

    /// Where it listens.
    pub fn listens_at(&self) -> SocketAddr {
        self.address
    }

    /// Lets the calls that run end, and closes all connections.
    pub fn stop(&self) {
        self.registration.lock().take();
        self.server.write().shutdown();
    }

    /// Gives memory back that is only kept to be used again.
    pub fn release_memory(&self) {
        self.server.read().release_memory();
    }

    /// Tells what it has done.
    pub fn metrics(&self, page: &mut Page) {
        self.server.read().counters().publish(page);
        self.locks.counters().publish(page);
    }
}

/// What clients need that lock files. Without it, others are served all the same.
fn serve_lock_clients(server: &mut Server, portmapper: Option<SocketAddr>) {
    if let Err(error) = server.serve_notices() {
        let error = Chain(&error).to_string();
        tracing::warn!(error, "does not listen by UDP: clients that have restarted keep their locks");
    }
    if let Some(Err(error)) = portmapper.map(|address| server.serve_portmapper(address)) {
        let error = Chain(&error).to_string();
        tracing::warn!(error, "cannot stand in for rpcbind: clients cannot lock files");
    }
}

/// The list of clients that hold locks lies with the pool, which may be served by another host one day.
fn lock_setup(config: &Config, locks: &Arc<Locks>) -> LockSetup {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if name.trim().is_empty() { "cow".to_owned() } else { name.trim().to_owned() };
    let ledger = Some(config.pool.join("lock-clients.json"));
    LockSetup { locks: locks.clone(), ledger, grace_period: config.grace_period, name, ..LockSetup::default() }
}

impl Front for Nfs {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn clients(&self) -> Vec<Client> {
        self.server.read().clients().into_iter().map(shown_client).collect()
    }

    fn connections(&self) -> u64 {
        self.server.read().connections() as u64
    }

    fn release_locks(&self, client: &locks::Client) -> usize {
        self.server.read().release_locks(client)
    }
}

/// Registers with rpcbind. Without it, clients that were told the port are served all the same.
fn register(address: SocketAddr) -> Option<Registration> {
    match Registration::new(address) {
        Ok(registration) => {
            tracing::info!(address = address.to_string(), "registered NFS, MOUNT and NLM with rpcbind");
            Some(registration)
        }
        Err(error) => {
            let error = Chain(&error).to_string();
            tracing::warn!(error, "not registered with rpcbind: clients must be told port= and mountport=");
            None
        }
    }
}

fn shown_client(client: nfs::Client) -> Client {
    let shown_mount = |mount: nfs::ClientMount| ClientMount {
        path: mount.path,
        told: mount.told.into_iter().map(|told| told.path).collect(),
        last: mount.last.map(moment),
        traffic: shown_traffic(mount.totals, mount.rates),
    };
    Client {
        address: client.address.to_string(),
        connections: client.connections as u64,
        since: client.since.map(moment),
        last: client.last.map(moment),
        traffic: shown_traffic(client.totals, client.rates),
        mounts: client.mounts.into_iter().map(shown_mount).collect(),
    }
}

fn shown_traffic(totals: Totals, rates: Rates) -> Traffic {
    let Totals { calls, errors, refused, replayed, read_bytes, written_bytes } = totals;
    Traffic {
        calls,
        errors,
        refused,
        replayed,
        read_bytes,
        written_bytes,
        calls_per_second: rates.calls,
        read_bytes_per_second: rates.read_bytes,
        written_bytes_per_second: rates.written_bytes,
    }
}

fn moment(time: SystemTime) -> Time {
    clock::time(clock::timestamp(time))
}
