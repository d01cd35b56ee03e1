//! Which clients use which shares, as the server sees it: after a restart clients go on without mounting again.
//!
//! Each connection keeps the tallies that it counts in, so that a call asks this table only when its client has not
//! used the share before, or long ago.
//!
//! Invariant: at most [`PAIRS_MAX`] pairs of client and share are remembered by themselves; when there are more, the ones
//! used longest ago are added to what their clients and shares come to, and of these to all others'. A sum never shrinks.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cow_storage::format::DatasetId;
use parking_lot::Mutex;

use crate::nfs::tally::{Rates, Tally, Totals};

/// Pairs of client and share that are remembered.
const PAIRS_MAX: usize = 4096;
/// How many of them are forgotten at once.
const PAIRS_FORGOTTEN: usize = PAIRS_MAX / 8;
/// Clients and shares, each, whose earlier sums are kept.
const SUMS_MAX: usize = 1024;
/// Tallies that a connection keeps.
const KEPT_MAX: usize = 64;
/// What the clock shows at first: 0 stands for never.
const FIRST_MILLIS: u64 = 1000;

/// A client, and the dataset that it used; none of calls that name no file.
type Pair = (IpAddr, Option<DatasetId>);

/// All uses.
pub struct Uses {
    began: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    live: HashMap<Pair, Arc<Tally>>,
    clients: Sums<IpAddr>,
    shares: Sums<DatasetId>,
}

/// What those come to who are not remembered by themselves.
struct Sums<Key> {
    of: HashMap<Key, Totals>,
    others: Totals,
}

/// The tallies that a connection counts in.
pub struct Kept {
    client: IpAddr,
    tallies: Mutex<HashMap<Option<DatasetId>, Arc<Tally>>>,
}

/// A share that a client has used.
#[derive(Clone, Debug)]
pub struct Use {
    /// The client.
    pub client: IpAddr,
    /// The dataset; none of calls that name no file.
    pub dataset: Option<DatasetId>,
    /// What it did.
    pub totals: Totals,
    /// How fast, lately.
    pub rates: Rates,
    /// When it called last.
    pub last: SystemTime,
    /// Whether it has said that it unmounted it, and done nothing since.
    pub has_left: bool,
}

/// Sums by client or by share, and of those that are not remembered.
#[derive(Clone, Debug)]
pub struct Summed<Key> {
    /// Of each.
    pub of: HashMap<Key, Totals>,
    /// Of all others.
    pub others: Totals,
}

impl Default for Uses {
    fn default() -> Self {
        Self { began: Instant::now(), table: Mutex::default() }
    }
}

impl<Key> Default for Sums<Key> {
    fn default() -> Self {
        Self { of: HashMap::new(), others: Totals::default() }
    }
}

impl Kept {
    /// The tallies of a connection from this address.
    pub fn new(client: IpAddr) -> Self {
        Self { client: client.to_canonical(), tallies: Mutex::default() }
    }
}

impl Uses {
    /// Counts a call that a connection's client made.
    pub fn count(&self, kept: &Kept, dataset: Option<DatasetId>, more: &Totals) {
        let now = self.millis(Instant::now());
        let mut tallies = kept.tallies.lock();
        if let Some(tally) = tallies.get(&dataset).filter(|tally| !tally.is_retired()) {
            return tally.count(now, more);
        }
        if tallies.len() >= KEPT_MAX {
            tallies.clear();
        }
        let tally = self.table.lock().tally((kept.client, dataset));
        tally.count(now, more);
        tallies.insert(dataset, tally);
    }

    /// Notes that a client says it unmounted a share, or all of them.
    pub fn leave(&self, client: IpAddr, dataset: Option<DatasetId>) {
        let client = client.to_canonical();
        let table = self.table.lock();
        match dataset {
            Some(_) => table.live.get(&(client, dataset)).into_iter().for_each(|tally| tally.leave()),
            None => table.live.iter().filter(|((of, _), _)| *of == client).for_each(|(_, tally)| tally.leave()),
        }
    }

    /// What each client has used that is remembered.
    pub fn list(&self) -> Vec<Use> {
        let (now, at) = (SystemTime::now(), self.millis(Instant::now()));
        let ago = |tally: &Tally| Duration::from_millis(at.saturating_sub(tally.last()));
        let table = self.table.lock();
        let uses = table.live.iter().map(|(&(client, dataset), tally)| Use {
            client,
            dataset,
            totals: tally.totals(),
            rates: tally.rates(at),
            last: now - ago(tally),
            has_left: tally.has_left(),
        });
        uses.collect()
    }

    /// Sums by client, and by share.
    pub fn sums(&self) -> (Summed<IpAddr>, Summed<DatasetId>) {
        let table = self.table.lock();
        let mut clients = Summed { of: table.clients.of.clone(), others: table.clients.others };
        let mut shares = Summed { of: table.shares.of.clone(), others: table.shares.others };
        for (&(client, dataset), tally) in &table.live {
            let totals = tally.totals();
            *clients.of.entry(client).or_default() += totals;
            if let Some(dataset) = dataset {
                *shares.of.entry(dataset).or_default() += totals;
            }
        }
        (clients, shares)
    }

    fn millis(&self, now: Instant) -> u64 {
        FIRST_MILLIS + now.duration_since(self.began).as_millis() as u64
    }
}

impl Table {
    fn tally(&mut self, pair: Pair) -> Arc<Tally> {
        if let Some(tally) = self.live.get(&pair) {
            return tally.clone();
        }
        if self.live.len() >= PAIRS_MAX {
            self.forget_oldest();
        }
        self.live.entry(pair).or_default().clone()
    }

    fn forget_oldest(&mut self) {
        let mut pairs: Vec<(u64, Pair)> = self.live.iter().map(|(pair, tally)| (tally.last(), *pair)).collect();
        pairs.sort_unstable();
        for (_, pair) in pairs.into_iter().take(PAIRS_FORGOTTEN) {
            let Some(tally) = self.live.remove(&pair) else { continue };
            let (totals, (client, dataset)) = (tally.retire(), pair);
            self.clients.add(client, totals);
            dataset.into_iter().for_each(|dataset| self.shares.add(dataset, totals));
        }
        self.clients.shrink(&self.live.keys().map(|(client, _)| *client).collect());
        self.shares.shrink(&self.live.keys().filter_map(|(_, dataset)| *dataset).collect());
    }
}

impl<Key: Copy + Eq + Hash> Sums<Key> {
    fn add(&mut self, key: Key, totals: Totals) {
        *self.of.entry(key).or_default() += totals;
    }

    /// Adds to the others' all that is not remembered otherwise, once it is too much.
    fn shrink(&mut self, live: &HashSet<Key>) {
        if self.of.len() <= SUMS_MAX {
            return;
        }
        let gone: Vec<Key> = self.of.keys().filter(|key| !live.contains(key)).copied().collect();
        for key in gone {
            self.others += self.of.remove(&key).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))
    }

    fn all<Key>(summed: &Summed<Key>) -> u64 {
        summed.of.values().map(|totals| totals.calls).sum::<u64>() + summed.others.calls
    }

    /// However many come, in whatever order, what is remembered is bounded and nothing is lost from the sums.
    #[test]
    fn sums_are_kept_and_what_is_remembered_is_bounded() {
        let uses = Uses::default();
        let call = Totals { calls: 1, ..Totals::default() };
        let kept: Vec<Kept> = (0..3000).map(|number| Kept::new(address(number))).collect();
        let (mut count, mut random) = (0, 1u64);
        for _ in 0..40_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (client, dataset) = ((random >> 33) % 3000, (random >> 50) % 2000);
            uses.count(&kept[client as usize], Some(DatasetId(dataset)), &call);
            count += 1;
        }
        let (clients, shares) = uses.sums();
        assert_eq!((all(&clients), all(&shares)), (count, count));
        assert!(shares.others.calls > 0 && clients.others.calls > 0);
        let table = uses.table.lock();
        assert!(table.live.len() <= PAIRS_MAX);
        assert!(shares.of.len() <= PAIRS_MAX + SUMS_MAX && clients.of.len() <= PAIRS_MAX + SUMS_MAX);
        assert!(kept.iter().all(|kept| kept.tallies.lock().len() <= KEPT_MAX));
    }

    #[test]
    fn uses_are_told_until_the_client_leaves() {
        let uses = Uses::default();
        let kept = Kept::new("::ffff:10.0.0.1".parse().unwrap());
        let call = Totals { calls: 1, read_bytes: 10, ..Totals::default() };
        uses.count(&kept, None, &call);
        uses.count(&kept, Some(DatasetId(1)), &call);
        uses.count(&Kept::new(address(2)), Some(DatasetId(1)), &call);
        let found = |client, dataset| {
            let found = uses.list().into_iter().find(|used| used.client == client && used.dataset == dataset);
            found.map(|used| (used.totals.calls, used.rates.calls, used.has_left))
        };
        assert_eq!(found(address(1), Some(DatasetId(1))), Some((1, 1.0, false)));
        assert_eq!(uses.list().len(), 3);
        uses.leave(address(1), Some(DatasetId(1)));
        assert_eq!(found(address(1), Some(DatasetId(1))), Some((1, 1.0, true)));
        assert_eq!(found(address(2), Some(DatasetId(1))), Some((1, 1.0, false)));
        uses.leave(address(2), None);
        assert_eq!(found(address(2), Some(DatasetId(1))), Some((1, 1.0, true)));
        let (clients, shares) = uses.sums();
        assert_eq!((clients.of[&address(1)].calls, shares.of[&DatasetId(1)].read_bytes), (2, 20));
    }
}
