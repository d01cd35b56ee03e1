//! The lock manager's memory of its clients, and the time after a restart.
//!
//! Which clients may hold locks is durable; the locks are not: after a restart each client is told so (SM_NOTIFY), and takes
//! back what it had (reclaim) before anybody else gets a lock.
//!
//! Invariant: a client that holds a lock is in the ledger, and was before it got the first.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::bell::Bell;
use crate::locks::{Client, Locks};
use crate::logging::Chain;
use crate::nfs::caller::Directory;
use crate::nfs::nlm::granting::Granter;
use crate::nfs::nlm::ledger::{Ledger, Recorded, RecordedClient};
use crate::nfs::nlm::notifying::notify;

/// How often clients that hold nothing are forgotten.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// Clients that are remembered.
const CLIENTS_MAX: usize = 4096;
/// Clients that are told of a restart at once.
const NOTIFIERS_MAX: usize = 16;

/// How locks are managed.
#[derive(Clone)]
pub struct LockSetup {
    /// The locks of all fronts.
    pub locks: Arc<Locks>,
    /// The file in which it is kept who may hold locks; without one it ends with the process.
    pub ledger: Option<PathBuf>,
    /// How long clients have to take back what they held before a restart.
    pub grace_period: Duration,
    /// What this server calls itself.
    pub name: String,
    /// The port of the clients' rpcbind.
    pub rpcbind_port: u16,
}

impl Default for LockSetup {
    fn default() -> Self {
        Self {
            locks: Arc::default(),
            ledger: None,
            grace_period: Duration::from_secs(45),
            name: "cow".to_owned(),
            rpcbind_port: Directory::default().port,
        }
    }
}

/// What is known of a client.
#[derive(Clone, Copy)]
struct Known {
    server: Option<IpAddr>,
    /// The highest number that it had; it grows when the client restarts.
    state: i32,
    since: Instant,
}

/// The lock manager.
pub struct Locking {
    setup: LockSetup,
    granter: Arc<Granter>,
    ledger: Ledger,
    /// Grows at each start.
    state: i32,
    known: RwLock<BTreeMap<Client, Known>>,
    /// Clients that have yet to be told of the restart.
    untold: Mutex<BTreeSet<Client>>,
    bell: Bell,
}

impl Locking {
    /// Begins where the last process ended: with the time in which clients take back what they held, if any did.
    pub fn start(setup: LockSetup) -> io::Result<Arc<Self>> {
        let ledger = Ledger::new(setup.ledger.clone());
        let recorded = ledger.load().unwrap_or_else(|error| {
            tracing::error!(error = %Chain(&error), "cannot read which clients held locks: they will not be told to take them back");
            Recorded { state: seconds_now(), clients: Vec::new() }
        });
        let state = (recorded.state.max(0).wrapping_add(2) | 1).max(1);
        ledger.save(&Recorded { state, clients: recorded.clients.clone() })?;
        let since = Instant::now();
        let of = |of: &RecordedClient| (of.client(), Known { server: of.server, state: 0, since });
        let known: BTreeMap<Client, Known> = recorded.clients.iter().map(of).collect();
        setup.locks.begin_grace(known.keys().cloned());
        let directory = Directory { port: setup.rpcbind_port };
        let locking = Arc::new(Self {
            granter: Granter::new(setup.locks.clone(), directory),
            ledger,
            state,
            untold: Mutex::new(known.keys().cloned().collect()),
            known: RwLock::new(known),
            bell: Bell::default(),
            setup,
        });
        locking.start_threads(recorded.clients)?;
        Ok(locking)
    }

    /// The locks.
    pub fn locks(&self) -> &Locks {
        &self.setup.locks
    }

    /// Calls clients whose wait has ended.
    pub fn granter(&self) -> &Granter {
        &self.granter
    }

    /// Grows at each start.
    pub fn state(&self) -> i32 {
        self.state
    }

    /// Whether it is durable that a client may hold locks.
    pub fn knows(&self, client: &Client) -> bool {
        self.known.read().contains_key(client)
    }

    /// Runs what may give a client a lock, once it is durable that it may have one. Fails if it cannot be made so.
    pub fn for_client<T>(
        &self,
        client: &Client,
        server: Option<IpAddr>,
        state: i32,
        run: impl FnOnce() -> T,
    ) -> Result<T, ()> {
        loop {
            // Held while it runs, so that the client is not forgotten meanwhile.
            let known = self.known.read();
            // One address of ours is enough: clients that use several would have it written at every turn.
            if known.get(client).is_some_and(|known| state <= known.state) {
                return Ok(run());
            }
            drop(known);
            self.learn(client, server, state)?;
        }
    }

    /// A client says, or its server's number shows, that it has restarted: it has no locks any more. A name may be given
    /// with or without its domain; one that is not known means the only client of that address.
    pub fn client_restarted(&self, address: IpAddr, name: &[u8]) {
        let (address, name) = (Some(address.to_canonical()), String::from_utf8_lossy(name));
        let short = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
        let known = self.known.read();
        let at_address: Vec<Client> = known.keys().filter(|client| client.address == address).cloned().collect();
        drop(known);
        let named = |client: &&Client| client.name == name || short(&client.name) == short(&name);
        let mut meant: Vec<&Client> = at_address.iter().filter(named).collect();
        if meant.is_empty() && at_address.len() == 1 {
            meant = at_address.iter().collect();
        }
        for client in meant {
            self.release(client, "the client has restarted");
        }
    }

    /// Takes all locks of a client, which will not take any back either. Returns how many there were.
    pub fn release(&self, client: &Client, reason: &str) -> usize {
        let count = self.locks().release_client(client);
        self.locks().expect_no_more(client);
        if count > 0 {
            tracing::info!(client = %client, locks = count as u64, reason, "released a client's locks");
        }
        count
    }

    /// Ends all threads.
    pub fn stop(&self) {
        self.bell.stop();
        self.granter.stop();
    }

    fn learn(&self, client: &Client, server: Option<IpAddr>, state: i32) -> Result<(), ()> {
        let mut known = self.known.write();
        let before = known.get(client).copied();
        let server = before.map_or(server, |before| before.server);
        if before.is_none() && known.len() >= CLIENTS_MAX {
            self.prune(&mut known);
            if known.len() >= CLIENTS_MAX {
                return Err(());
            }
        }
        let highest = before.map_or(state, |before| before.state.max(state));
        known.insert(client.clone(), Known { server, state: highest, since: Instant::now() });
        if before.is_none()
            && let Err(error) = self.save(&known)
        {
            tracing::error!(error = %Chain(&error), "cannot record that a client holds locks: it gets none");
            known.remove(client);
            return Err(());
        }
        drop(known);
        if before.is_some_and(|before| before.state != 0 && before.state < state) {
            self.release(client, "the client has restarted");
        }
        Ok(())
    }

    fn save(&self, known: &BTreeMap<Client, Known>) -> io::Result<()> {
        let recorded = known.iter().filter_map(|(client, known)| {
            Some(RecordedClient { address: client.address?, name: client.name.clone(), server: known.server })
        });
        self.ledger.save(&Recorded { state: self.state, clients: recorded.collect() })
    }

    /// Forgets clients that hold nothing, take nothing back and were not seen for a while.
    fn prune(&self, known: &mut BTreeMap<Client, Known>) {
        let locks = self.locks();
        let mut needed: BTreeSet<Client> = locks.clients().into_iter().map(|of| (*of.client).clone()).collect();
        needed.extend(locks.grace().unwrap_or_default());
        needed.extend(self.untold.lock().iter().cloned());
        let before = known.len();
        known.retain(|client, known| needed.contains(client) || known.since.elapsed() < PRUNE_INTERVAL);
        if known.len() < before
            && let Err(error) = self.save(known)
        {
            // Then it names more than there are, which costs a wait after a restart.
            tracing::warn!(error = %Chain(&error), "cannot record which clients hold locks");
        }
    }

    fn start_threads(self: &Arc<Self>, clients: Vec<RecordedClient>) -> io::Result<()> {
        let keeper = self.clone();
        thread::Builder::new().name("nlm-keep".to_owned()).spawn(move || keeper.keep())?;
        let count = clients.len().min(NOTIFIERS_MAX);
        let queue = Arc::new(Mutex::new(clients));
        for _ in 0..count {
            let (notifier, queue) = (self.clone(), queue.clone());
            thread::Builder::new().name("nlm-notify".to_owned()).spawn(move || {
                let next = || queue.lock().pop();
                while let Some(client) = next() {
                    notifier.tell(&client);
                }
            })?;
        }
        Ok(())
    }

    /// Tells a client that we have restarted.
    fn tell(&self, client: &RecordedClient) {
        let Self { setup, state, bell, .. } = self;
        let directory = Directory { port: setup.rpcbind_port };
        if notify(&directory, client, &setup.name, *state, bell) {
            tracing::debug!(client = %client.client(), "told a client to take its locks back");
        } else {
            tracing::warn!(client = %client.client(), "cannot tell a client to take its locks back");
        }
        self.untold.lock().remove(&client.client());
    }

    /// Ends the time after the restart, and forgets clients that are gone.
    fn keep(&self) {
        if self.locks().grace().is_some() {
            tracing::info!(seconds = self.setup.grace_period.as_secs(), "waiting for clients to take their locks back");
            let until = Instant::now() + self.setup.grace_period;
            while self.locks().grace().is_some() && Instant::now() < until {
                let left = until.saturating_duration_since(Instant::now());
                if !self.bell.sleep(left.min(Duration::from_millis(500))) {
                    return;
                }
            }
            self.locks().end_grace();
            let reclaimed = self.locks().counters().reclaimed;
            tracing::info!(reclaimed, "clients have had their time to take locks back");
        }
        while self.bell.sleep(PRUNE_INTERVAL) {
            let mut known = self.known.write();
            if !known.is_empty() {
                self.prune(&mut known);
            }
        }
    }
}

/// A number that is above those of earlier starts, for want of the last.
fn seconds_now() -> i32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i32::try_from(since.as_secs()).unwrap_or(i32::MAX - 4)
}
