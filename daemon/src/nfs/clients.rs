//! Who is connected, and who has mounted what: from connections, from what clients told, and from what they do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use cow_storage::format::DatasetId;

use crate::nfs::mount::Mount;
use crate::nfs::tally::{Rates, Totals};
use crate::nfs::uses::{Summed, Use, Uses};
use crate::shares::Views;

/// For how long after its last call a client that told nothing is taken to have a share mounted.
const USED_TIME: Duration = Duration::from_secs(3600);
/// What those are called that are not told of by themselves.
const OTHERS: &str = "other";

/// A client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Its connections: clients close quiet ones, and open others when they need some.
    pub connections: usize,
    /// When the oldest of them was opened.
    pub since: Option<SystemTime>,
    /// When it called last.
    pub last: Option<SystemTime>,
    /// What it did.
    pub totals: Totals,
    /// How fast, lately.
    pub rates: Rates,
    /// What it has mounted, by path.
    pub mounts: Vec<ClientMount>,
}

/// A share that a client has mounted.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientMount {
    /// The share's path.
    pub path: String,
    /// The paths in it that the client asked for, since the server started.
    pub told: Vec<Mount>,
    /// When it called last.
    pub last: Option<SystemTime>,
    /// What it did with the share.
    pub totals: Totals,
    /// How fast, lately.
    pub rates: Rates,
}

/// What was done with each share and by each client, by path and by address.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Traffic {
    /// With each share, and with others that are not remembered.
    pub shares: Vec<(String, Totals)>,
    /// By each client, and by others.
    pub clients: Vec<(String, Totals)>,
}

/// All clients by address: those with connections (address and begin of each), and those that have something mounted.
pub fn list(
    connections: Vec<(IpAddr, SystemTime)>,
    mounts: Vec<Mount>,
    uses: Vec<Use>,
    views: &dyn Views,
) -> Vec<Client> {
    let mut clients = BTreeMap::new();
    for (address, since) in connections {
        let client = entry(&mut clients, address.to_canonical());
        client.connections += 1;
        client.since = Some(client.since.map_or(since, |earlier| earlier.min(since)));
    }
    for mount in mounts {
        // What was shared under that path may have gone, or may be another dataset now.
        let share = views.share_by_path(mount.path.as_bytes());
        let path = share.map_or_else(|| mount.path.clone(), |(share, _)| share.path.clone());
        mount_of(entry(&mut clients, mount.client), path).told.push(mount);
    }
    for used in uses {
        add_use(&mut clients, &used, views);
    }
    let is_there = |client: &Client| client.connections > 0 || !client.mounts.is_empty();
    clients.into_values().filter(is_there).collect()
}

fn add_use(clients: &mut BTreeMap<IpAddr, Client>, used: &Use, views: &dyn Views) {
    let client = entry(clients, used.client);
    client.last = client.last.max(Some(used.last));
    client.totals += used.totals;
    client.rates += used.rates;
    let Some(path) = used.dataset.and_then(|dataset| path_of(dataset, views)) else { return };
    let is_told = client.mounts.iter().any(|mount| mount.path == path);
    // What was only ever refused was never mounted.
    let is_let_in = used.totals.calls > used.totals.refused;
    let is_recent = used.last.elapsed().is_ok_and(|ago| ago < USED_TIME);
    if is_told || (is_let_in && is_recent && !used.has_left) {
        let mount = mount_of(client, path);
        mount.last = Some(used.last);
        mount.totals = used.totals;
        mount.rates = used.rates;
    }
}

fn entry(clients: &mut BTreeMap<IpAddr, Client>, address: IpAddr) -> &mut Client {
    clients.entry(address).or_insert_with(|| Client {
        address,
        connections: 0,
        since: None,
        last: None,
        totals: Totals::default(),
        rates: Rates::default(),
        mounts: Vec::new(),
    })
}

/// The mount of a share, which is there afterwards.
fn mount_of(client: &mut Client, path: String) -> &mut ClientMount {
    let at = client.mounts.binary_search_by(|mount| mount.path.cmp(&path));
    let (Ok(at) | Err(at)) = at;
    if client.mounts.get(at).is_none_or(|mount| mount.path != path) {
        let (told, last) = (Vec::new(), None);
        client.mounts.insert(at, ClientMount { path, told, last, totals: Totals::default(), rates: Rates::default() });
    }
    &mut client.mounts[at]
}

fn path_of(dataset: DatasetId, views: &dyn Views) -> Option<String> {
    Some(views.share_by_id(dataset, None).ok()?.share.path.clone())
}

/// What was done with each share that there is, and by each client.
pub fn traffic(uses: &Uses, views: &dyn Views) -> Traffic {
    let (clients, shares) = uses.sums();
    Traffic {
        shares: named(shares, |dataset| path_of(*dataset, views)),
        clients: named(clients, |client| Some(client.to_string())),
    }
}

fn named<Key>(summed: Summed<Key>, name: impl Fn(&Key) -> Option<String>) -> Vec<(String, Totals)> {
    let mut named: Vec<_> = summed.of.iter().filter_map(|(key, totals)| Some((name(key)?, *totals))).collect();
    named.sort_by(|one, other| one.0.cmp(&other.0));
    if summed.others != Totals::default() {
        named.push((OTHERS.to_owned(), summed.others));
    }
    named
}
