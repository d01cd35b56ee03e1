//! Locks over the network: NLM version 4 by our own client, with clients that are called back, that are gone, and that
//! come back after a restart.

mod portmapper;
mod restarts;
mod rules;
mod waits;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cow_tests::model::Model;
use cow_tests::nfs_client::{Client, Handle, Set};
use cow_tests::nlm_client::{LockClient, Lockd};
use cow_tests::served::{ModelViews, open_access, serve_with_locks};
use cowd::locks::Locks;
use cowd::nfs::{LockSetup, Server};

/// Longer than anything takes that is to happen.
const LONG: Duration = Duration::from_secs(20);
/// Long enough for what is not to happen.
const SHORT: Duration = Duration::from_millis(300);

/// A server of one dataset with a file, and clients that can be called.
struct World {
    server: Server,
    model: Arc<Model>,
    views: Arc<ModelViews>,
    locks: Arc<Locks>,
    lockd: Lockd,
    file: Handle,
}

impl World {
    fn new() -> Self {
        let (lockd, views, model) = (Lockd::start(), Arc::new(ModelViews::default()), Arc::new(Model::default()));
        views.share("/model", 1, model.clone(), open_access());
        let setup = LockSetup { rpcbind_port: lockd.port, ..LockSetup::default() };
        let locks = setup.locks.clone();
        let server = serve_with_locks(views.clone(), setup);
        let file = made(server.local_addr().unwrap(), b"f");
        Self { server, model, views, locks, lockd, file }
    }

    fn address(&self) -> SocketAddr {
        self.server.local_addr().unwrap()
    }

    fn client(&self, own: u8) -> LockClient {
        LockClient::connect(own, self.address()).unwrap()
    }
}

/// A new file of the model's.
fn made(server: SocketAddr, name: &[u8]) -> Handle {
    let mut client = Client::connect(server).unwrap();
    let root = client.mount("/model").unwrap();
    client.create(&root, name, true, &Set { mode: Some(0o644), ..Set::default() }).unwrap()
}
