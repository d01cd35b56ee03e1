//! The table of all locks, as the fronts call it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cow_storage::format::DatasetId;
use parking_lot::Mutex;

use crate::locks::file::{FileLocks, Waiting};
use crate::locks::waits::{Reasons, Waits};
use crate::locks::{Claim, Client, End, File, Limits, Outcome, Owner, Range, Wait, Waiter};

/// Longest name of a client and longest handle of an owner, in bytes: longer ones are refused as too much.
const TEXT_LENGTH_MAX: usize = 256;
/// A lock that is set or taken away makes at most this many more of one.
const ADDED_MAX: usize = 2;
/// Requests that wait in one file.
const QUEUE_MAX: usize = 1024;

/// All locks.
pub struct Locks {
    table: Mutex<Table>,
}

/// What was done since the start, and what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Locks held.
    pub held: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Clients that hold or wait.
    pub clients: usize,
    /// Whether only locks from before the restart are taken.
    pub in_grace: bool,
    /// Locks granted, also to those that waited.
    pub granted: u64,
    /// Requests denied as another holds the lock.
    pub denied: u64,
    /// Requests that had to wait.
    pub waited: u64,
    /// Requests denied as they would wait for themselves.
    pub deadlocks: u64,
    /// Requests denied as there were too many locks.
    pub full: u64,
    /// Requests denied for the time after a restart.
    pub in_grace_denied: u64,
    /// Locks taken back after a restart.
    pub reclaimed: u64,
}

/// A lock in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The lock.
    pub claim: Claim,
    /// Whether it is only waited for.
    pub is_waiting: bool,
}

/// What a client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLocks {
    /// The client.
    pub client: Arc<Client>,
    /// Locks held.
    pub held: usize,
    /// Requests that wait.
    pub waiting: usize,
}

#[derive(Default)]
struct Table {
    limits: Limits,
    files: HashMap<File, FileLocks>,
    waits: Waits,
    clients: BTreeMap<Arc<Client>, (usize, usize)>,
    counters: Counters,
    /// Who may take locks back, while that time lasts.
    expected: Option<BTreeSet<Client>>,
    ended: Vec<(Arc<dyn Waiter>, Claim, End)>,
    /// Whether there may be a new circle of waits, in any files, so that not all have to stand behind any more.
    is_knotted: bool,
}

impl Locks {
    /// No locks yet.
    pub fn new(limits: Limits) -> Self {
        Self { table: Mutex::new(Table { limits, ..Table::default() }) }
    }

    /// From now on only these clients may lock, and only what they held before: [`Locks::reclaim`].
    pub fn begin_grace(&self, expected: impl IntoIterator<Item = Client>) {
        self.change(|table| {
            let expected = expected.into_iter().collect();
            table.expected = Some(expected);
            table.end_grace_if_none_is_expected();
        });
    }

    /// A client has nothing to take back. The time ends when none has.
    pub fn expect_no_more(&self, client: &Client) {
        self.change(|table| {
            if let Some(expected) = &mut table.expected {
                expected.remove(client);
            }
            table.end_grace_if_none_is_expected();
        });
    }

    /// From now on everybody may lock, and nothing is taken back.
    pub fn end_grace(&self) {
        self.change(|table| table.expected = None);
    }

    /// The clients that may take locks back, while that time lasts.
    pub fn grace(&self) -> Option<Vec<Client>> {
        self.table.lock().expected.as_ref().map(|expected| expected.iter().cloned().collect())
    }

    /// Asks for a lock, in place of what the owner has of these bytes.
    pub fn lock(&self, claim: Claim, wait: Wait) -> Outcome {
        self.change(|table| table.lock(claim, wait))
    }

    /// Takes a lock back that was held before a restart.
    pub fn reclaim(&self, claim: Claim) -> Outcome {
        self.change(|table| table.reclaim(claim))
    }

    /// What stands against a lock: `Granted` if nothing does.
    pub fn test(&self, claim: &Claim) -> Outcome {
        self.change(|table| {
            if table.expected.is_some() {
                return table.count(Outcome::Grace);
            }
            let obstacle = table.files.get(&claim.file).and_then(|locks| locks.obstacle(claim));
            obstacle.map_or(Outcome::Granted, |obstacle| Outcome::Denied(Box::new(obstacle)))
        })
    }

    /// Takes bytes from an owner. `Granted`, also where it had none; `Full` if one lock would become two too many.
    pub fn unlock(&self, file: File, owner: &Owner, range: Range) -> Outcome {
        self.change(|table| table.unlock(file, owner, range))
    }

    /// Ends a wait. False if there is none; the lock may have been granted meanwhile, and is not taken back.
    pub fn cancel(&self, claim: &Claim, number: u64) -> bool {
        self.change(|table| table.cancel(claim, number))
    }

    /// Takes all locks from a client and ends its waits. Returns how many there were.
    pub fn release_client(&self, client: &Client) -> usize {
        self.change(|table| table.release_where(|_, owner| *owner.client == *client))
    }

    /// Takes all locks of a dataset and its snapshots, and ends the waits. Returns how many there were.
    pub fn release_dataset(&self, dataset: DatasetId) -> usize {
        self.change(|table| table.release_where(|file, _| file.dataset == dataset))
    }

    /// All locks, of one dataset or of all, by file; those that wait after those that are held.
    pub fn list(&self, dataset: Option<DatasetId>) -> Vec<Listed> {
        let table = self.table.lock();
        let wanted = |file: &File| dataset.is_none_or(|dataset| dataset == file.dataset);
        let mut files: Vec<_> = table.files.iter().filter(|(file, _)| wanted(file)).collect();
        files.sort_unstable_by_key(|(file, _)| **file);
        let listed = files.into_iter().flat_map(|(file, locks)| {
            let held = locks.held(*file).map(|claim| Listed { claim, is_waiting: false });
            held.chain(locks.waiting.iter().map(|of| Listed { claim: of.claim.clone(), is_waiting: true }))
        });
        listed.collect()
    }

    /// All clients that hold or wait.
    pub fn clients(&self) -> Vec<ClientLocks> {
        let table = self.table.lock();
        let of = |(client, &(held, waiting)): (&Arc<Client>, &_)| ClientLocks { client: client.clone(), held, waiting };
        table.clients.iter().map(of).collect()
    }

    /// What was done, and what there is.
    pub fn counters(&self) -> Counters {
        let table = self.table.lock();
        let (clients, in_grace) = (table.clients.len(), table.expected.is_some());
        Counters { clients, in_grace, ..table.counters.clone() }
    }

    /// Changes the table, and tells those whose wait has ended once it is unlocked.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock();
        let outcome = change(&mut table);
        let ended = std::mem::take(&mut table.ended);
        drop(table);
        for (waiter, claim, end) in ended {
            waiter.ended(&claim, end);
        }
        outcome
    }
}

impl Default for Locks {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Table {
    fn lock(&mut self, mut claim: Claim, wait: Wait) -> Outcome {
        if self.expected.is_some() {
            return self.count(Outcome::Grace);
        }
        self.intern(&mut claim);
        let obstacle = self.files.get(&claim.file).and_then(|locks| locks.obstacle(&claim));
        let outcome = match (obstacle, wait) {
            (Some(obstacle), Wait::No) => Outcome::Denied(Box::new(obstacle)),
            (None, Wait::No) => self.grant(&claim),
            (obstacle, Wait::Until { number, waiter }) => {
                let wanted = Waiting { claim, number, waiter };
                match obstacle.is_some() || self.stands_behind(&wanted.claim, usize::MAX) {
                    true => self.wait(wanted),
                    false => self.grant(&wanted.claim),
                }
            }
        };
        self.count(outcome)
    }

    fn reclaim(&mut self, mut claim: Claim) -> Outcome {
        if !self.expected.as_ref().is_some_and(|expected| expected.contains(&*claim.owner.client)) {
            return self.count(Outcome::Grace);
        }
        self.intern(&mut claim);
        let obstacle = self.files.get(&claim.file).and_then(|locks| locks.obstacle(&claim));
        let outcome = obstacle.map_or_else(|| self.grant(&claim), |obstacle| Outcome::Denied(Box::new(obstacle)));
        self.counters.reclaimed += u64::from(outcome == Outcome::Granted);
        self.count(outcome)
    }

    /// Whether a claim, new or at a place of the queue, must let others go first that have waited for longer.
    fn stands_behind(&self, claim: &Claim, at: usize) -> bool {
        let Some(locks) = self.files.get(&claim.file) else { return false };
        let waits_for_it =
            |owner| self.waits.lead(&self.files, [owner], &claim.owner, Reasons::HeldOrQueued).unwrap_or(true);
        locks.waiters_against(claim, at).any(|earlier| !waits_for_it(earlier))
    }

    fn wait(&mut self, wanted: Waiting) -> Outcome {
        let Some(locks) = self.files.get_mut(&wanted.claim.file) else { return self.grant(&wanted.claim) };
        let is_same = |of: &&mut Waiting| of.claim.is_same(&wanted.claim) && of.number == wanted.number;
        if let Some(found) = locks.waiting.iter_mut().find(is_same) {
            found.waiter = wanted.waiter;
            return Outcome::Waiting;
        }
        let holders: Vec<Owner> = locks.holders_against(&wanted.claim).cloned().collect();
        if self.waits.lead(&self.files, &holders, &wanted.claim.owner, Reasons::Held) == Some(true) {
            return Outcome::Deadlock;
        }
        let is_long = self.files.get(&wanted.claim.file).is_some_and(|locks| locks.waiting.len() >= QUEUE_MAX);
        if is_long || !self.has_room(&wanted.claim, 1) {
            return Outcome::Full;
        }
        let file = wanted.claim.file;
        self.is_knotted = self.is_circle(&wanted.claim);
        self.book(&wanted.claim.owner.client, 0, 1);
        self.waits.add(&wanted.claim);
        self.files.entry(file).or_default().waiting.push_back(wanted);
        self.settle(file);
        Outcome::Waiting
    }

    /// Whether a new wait closes a circle, of which somebody's patience must be a part, as it is no deadlock.
    fn is_circle(&self, claim: &Claim) -> bool {
        let Some(locks) = self.files.get(&claim.file) else { return false };
        let before = locks.holders_against(claim).chain(locks.waiters_against(claim, usize::MAX));
        self.waits.lead(&self.files, before, &claim.owner, Reasons::HeldOrQueued) != Some(false)
    }

    /// Gives the lock to its owner, as nothing stands against it, and to others what that leaves them.
    fn grant(&mut self, claim: &Claim) -> Outcome {
        if self.files.get(&claim.file).is_some_and(|locks| locks.has(claim)) {
            return Outcome::Granted;
        }
        if !self.has_room(claim, ADDED_MAX) {
            return Outcome::Full;
        }
        self.set(claim);
        self.settle(claim.file);
        Outcome::Granted
    }

    fn unlock(&mut self, file: File, owner: &Owner, range: Range) -> Outcome {
        let Some(locks) = self.files.get(&file) else { return Outcome::Granted };
        let of_client = self.clients.get(&owner.client).map_or(0, |(held, waiting)| held + waiting);
        let is_full = of_client >= self.limits.locks_per_client || self.total() >= self.limits.locks;
        if is_full && locks.splits(owner, range) {
            return self.count(Outcome::Full);
        }
        self.take(file, owner, range);
        self.settle(file);
        Outcome::Granted
    }

    fn cancel(&mut self, claim: &Claim, number: u64) -> bool {
        let Some(locks) = self.files.get(&claim.file) else { return false };
        let is_it = |of: &Waiting| of.claim.is_same(claim) && of.number == number;
        let Some(at) = locks.waiting.iter().position(is_it) else { return false };
        self.leave_queue(claim.file, at);
        self.settle(claim.file);
        true
    }

    fn release_where(&mut self, is_meant: impl Fn(&File, &Owner) -> bool) -> usize {
        let files: Vec<File> = self.files.keys().copied().collect();
        // First everything, so that nobody is given what goes in a moment.
        let count = files.iter().map(|&file| self.release_in(file, |owner| is_meant(&file, owner))).sum();
        files.into_iter().for_each(|file| self.settle(file));
        count
    }

    fn release_in(&mut self, file: File, is_meant: impl Fn(&Owner) -> bool) -> usize {
        let Some(locks) = self.files.get(&file) else { return 0 };
        let owners: Vec<Owner> = locks.owners().filter(|owner| is_meant(owner)).cloned().collect();
        let waits = (0..locks.waiting.len()).rev();
        let waits: Vec<usize> = waits.filter(|&at| is_meant(&locks.waiting[at].claim.owner)).collect();
        let count = waits.len() + owners.iter().map(|owner| locks.count(owner)).sum::<usize>();
        for at in waits {
            if let Some(Waiting { claim, waiter, .. }) = self.leave_queue(file, at) {
                self.ended.push((waiter, claim, End::Dropped));
            }
        }
        owners.iter().for_each(|owner| self.take(file, owner, Range::ALL));
        count
    }

    /// Gives locks to those whose turn has come.
    fn settle(&mut self, file: File) {
        self.promote(file);
        while std::mem::take(&mut self.is_knotted) {
            self.waits.files().into_iter().for_each(|file| self.promote(file));
        }
    }

    /// The same in one file, which is forgotten if nothing is left.
    fn promote(&mut self, file: File) {
        let mut at = 0;
        while let Some(locks) = self.files.get(&file) {
            let Some(Waiting { claim, .. }) = locks.waiting.get(at) else { break };
            if locks.obstacle(claim).is_some() || self.stands_behind(claim, at) {
                at += 1;
                continue;
            }
            let Some(Waiting { claim, waiter, .. }) = self.leave_queue(file, at) else { break };
            let has_room = self.has_room(&claim, ADDED_MAX);
            if has_room {
                self.set(&claim);
                self.counters.granted += 1;
            } else {
                self.counters.full += 1;
            }
            self.ended.push((waiter, claim, if has_room { End::Granted } else { End::Dropped }));
            at = 0;
        }
        if self.files.get(&file).is_some_and(FileLocks::is_empty) {
            self.files.remove(&file);
        }
    }

    /// Notes that an owner holds a lock.
    fn set(&mut self, claim: &Claim) {
        let locks = self.files.entry(claim.file).or_default();
        let before = locks.count(&claim.owner);
        locks.hold(claim);
        let added = locks.count(&claim.owner) as isize - before as isize;
        self.is_knotted |= !locks.waiting.is_empty() && self.waits.has(&claim.owner);
        self.book(&claim.owner.client, added, 0);
    }

    /// Takes bytes from an owner, and counts that.
    fn take(&mut self, file: File, owner: &Owner, range: Range) {
        let Some(locks) = self.files.get_mut(&file) else { return };
        let before = locks.count(owner);
        locks.release(owner, range);
        let added = locks.count(owner) as isize - before as isize;
        self.book(&owner.client, added, 0);
    }

    fn leave_queue(&mut self, file: File, at: usize) -> Option<Waiting> {
        let left = self.files.get_mut(&file)?.waiting.remove(at)?;
        self.waits.remove(&left.claim);
        self.book(&left.claim.owner.client, 0, -1);
        Some(left)
    }

    /// Uses the client's name that is known already, so that it is kept once.
    fn intern(&self, claim: &mut Claim) {
        if let Some((known, _)) = self.clients.get_key_value(&claim.owner.client) {
            claim.owner.client = known.clone();
        }
    }

    fn total(&self) -> usize {
        self.counters.held + self.counters.waiting
    }

    fn has_room(&self, claim: &Claim, added: usize) -> bool {
        let client = &claim.owner.client;
        let known = self.clients.get(client).map(|(held, waiting)| held + waiting);
        let is_short = claim.handle.len() <= TEXT_LENGTH_MAX && client.name.len() <= TEXT_LENGTH_MAX;
        is_short
            && (known.is_some() || self.clients.len() < self.limits.clients)
            && known.unwrap_or(0) + added <= self.limits.locks_per_client
            && self.total() + added <= self.limits.locks
    }

    /// Counts locks that a client has more, or less.
    fn book(&mut self, client: &Arc<Client>, held: isize, waiting: isize) {
        let changed = |count: &mut usize, by| *count = count.checked_add_signed(by).expect("no lock is taken twice");
        changed(&mut self.counters.held, held);
        changed(&mut self.counters.waiting, waiting);
        let counts = self.clients.entry(client.clone()).or_default();
        changed(&mut counts.0, held);
        changed(&mut counts.1, waiting);
        if *counts == (0, 0) {
            self.clients.remove(client);
        }
    }

    fn count(&mut self, outcome: Outcome) -> Outcome {
        let counter = match outcome {
            Outcome::Granted => &mut self.counters.granted,
            Outcome::Denied(_) => &mut self.counters.denied,
            Outcome::Waiting => &mut self.counters.waited,
            Outcome::Deadlock => &mut self.counters.deadlocks,
            Outcome::Full => &mut self.counters.full,
            Outcome::Grace => &mut self.counters.in_grace_denied,
        };
        *counter += 1;
        outcome
    }

    fn end_grace_if_none_is_expected(&mut self) {
        if self.expected.as_ref().is_some_and(BTreeSet::is_empty) {
            self.expected = None;
        }
    }
}
