//! The NFS server, as the service and the metrics ask it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use cow_api::time::Time;
use cow_api::v1::{Client, ClientMount, Problem, Traffic};
use cow_storage::pool::Pool;
use parking_lot::RwLock;

use crate::clock;
use crate::config::Config;
use crate::daemon::failure::nfs_not_listening;
use crate::metrics::Page;
use crate::nfs::{self, Limits, Rates, Server, Totals};
use crate::service::Front;
use crate::shares::Views;

/// What the key of file handles is derived for. Clients lose their files when it changes.
const HANDLES: &str = "nfs file handles";

/// The NFS server.
pub struct Nfs {
    server: RwLock<Server>,
    address: SocketAddr,
}

impl Nfs {
    /// Serves `views` by NFS.
    pub fn start(config: &Config, views: Arc<dyn Views>, pool: &Pool) -> Result<Self, Problem> {
        let limits = Limits { connections: config.connections_max, ..Limits::default() };
        let start = |address| {
            let server = Server::start(address, views.clone(), pool.derive_key(HANDLES), limits.clone())?;
            let address = server.local_addr()?;
            Ok(Self { server: RwLock::new(server), address })
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
        self.server.write().shutdown();
    }

    /// Gives memory back that is only kept to be used again.
    pub fn release_memory(&self) {
        self.server.read().release_memory();
    }

    /// Tells what it has done.
    pub fn metrics(&self, page: &mut Page) {
        self.server.read().counters().publish(page);
    }
}

impl Front for Nfs {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn clients(&self) -> Vec<Client> {
        self.server.read().clients().into_iter().map(shown_client).collect()
    }

    fn connections(&self) -> u64 {
        self.server.read().counters().connections
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
