//! Tells clients that the lock they waited for is theirs (GRANTED).
//!
//! Each client is called by a thread of its own, out of a bounded number, so that one that is gone holds up nobody else for
//! long: what cannot be delivered to it goes to whoever waits next. A client that asks again meanwhile is answered at once, and
//! then a refused call means nothing.
//!
//! Invariant: a lock that was granted to one that waited is taken back only while the client cannot know that it has it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::locks::{Claim, Client, End, File, Locks, Outcome, Owner, Waiter};
use crate::nfs::buffers::{Buffers, Portion};
use crate::nfs::caller::{CallError, Caller, Directory};
use crate::nfs::nlm::codec::{Stat, Subject, decode_stat, encode_granted};
use crate::nfs::nlm::{PROGRAM, VERSION};
use crate::nfs::xdr::{Decoder, Encoder};

/// The procedure that is called.
const GRANTED: u32 = 5;
/// Clients that are called at once.
const THREADS_MAX: usize = 64;
/// How long to wait before each attempt.
const RESTS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// What a client waits for, as it said.
pub struct Wanted {
    /// What the client calls itself.
    pub caller: Box<[u8]>,
    /// The file.
    pub handle: Box<[u8]>,
    /// What the client calls the owner.
    pub owner: Box<[u8]>,
    /// The owner's process.
    pub process: i32,
    /// The first byte.
    pub offset: u64,
    /// How many; zero has no end.
    pub length: u64,
    /// The address of ours that the client used, and knows us by.
    pub server: Option<IpAddr>,
}

/// How far one that waits has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Another has the lock.
    Waiting,
    /// The client has the lock and may not know it.
    Granted,
    /// The client knows what it has.
    Settled,
}

/// One that waits.
pub struct Blocked {
    granter: Weak<Granter>,
    claim: Claim,
    wanted: Wanted,
    progress: Mutex<Progress>,
}

/// Calls clients.
pub struct Granter {
    me: Weak<Granter>,
    locks: Arc<Locks>,
    directory: Directory,
    buffers: Portion,
    bell: Bell,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocked: HashMap<(File, Owner), Vec<Arc<Blocked>>>,
    queues: HashMap<Arc<Client>, VecDeque<Arc<Blocked>>>,
    called: HashSet<Arc<Client>>,
    /// Clients that no thread was left for.
    left: VecDeque<Arc<Client>>,
    grants: u64,
    undelivered: u64,
}

impl Waiter for Blocked {
    fn ended(&self, _: &Claim, end: End) {
        let Some(granter) = self.granter.upgrade() else { return };
        let mut progress = self.progress.lock();
        if *progress == Progress::Waiting && end == End::Granted {
            *progress = Progress::Granted;
            drop(progress);
            granter.begin(self);
        } else {
            *progress = Progress::Settled;
            drop(progress);
            granter.forget(self);
        }
    }
}

impl Granter {
    /// Nobody is called yet.
    pub fn new(locks: Arc<Locks>, directory: Directory) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            locks,
            directory,
            buffers: Buffers::new(1 << 20).portion(None),
            bell: Bell::default(),
            state: Mutex::default(),
        })
    }

    /// Who is to be told when this is granted: the same one if the client asks again.
    pub fn blocked(&self, claim: &Claim, wanted: Wanted) -> Arc<Blocked> {
        let mut state = self.state.lock();
        let of_owner = state.blocked.entry((claim.file, claim.owner.clone())).or_default();
        let is_it =
            |blocked: &&Arc<Blocked>| blocked.claim.is_same(claim) && *blocked.progress.lock() != Progress::Settled;
        if let Some(known) = of_owner.iter().find(is_it) {
            return known.clone();
        }
        let progress = Mutex::new(Progress::Waiting);
        let blocked = Arc::new(Blocked { granter: self.me.clone(), claim: claim.clone(), wanted, progress });
        of_owner.push(blocked.clone());
        blocked
    }

    /// A client is answered a request: unless it waits, it knows what it has.
    pub fn answered(&self, claim: &Claim, outcome: &Outcome) {
        if *outcome != Outcome::Waiting {
            self.settle(claim, |blocked, progress| blocked.claim.is_same(claim) || progress == Progress::Granted);
        }
    }

    /// A client gives bytes back, so it knows what it has.
    pub fn unlocked(&self, claim: &Claim) {
        self.settle(claim, |_, progress| progress == Progress::Granted);
    }

    /// A client no longer waits. A lock that it got meanwhile is taken back; false if there is neither.
    pub fn cancelled(&self, claim: &Claim, was_waiting: bool) -> bool {
        let granted = self.settle(claim, |blocked, _| blocked.claim.is_same(claim));
        if granted {
            self.locks.unlock(claim.file, &claim.owner, claim.range);
        }
        granted || was_waiting
    }

    /// Grants that clients were called for, and those of which none could be told.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.grants, state.undelivered)
    }

    /// Calls nobody any more.
    pub fn stop(&self) {
        self.bell.stop();
    }

    /// Settles those of an owner's in a file that are meant. Returns whether one of them had been granted.
    fn settle(&self, claim: &Claim, is_meant: impl Fn(&Blocked, Progress) -> bool) -> bool {
        let mut state = self.state.lock();
        let key = (claim.file, claim.owner.clone());
        let Some(of_owner) = state.blocked.get_mut(&key) else { return false };
        let mut was_granted = false;
        of_owner.retain(|blocked| {
            let mut progress = blocked.progress.lock();
            let meant = is_meant(blocked, *progress);
            was_granted |= meant && *progress == Progress::Granted;
            if meant {
                *progress = Progress::Settled;
            }
            !meant
        });
        if of_owner.is_empty() {
            state.blocked.remove(&key);
        }
        was_granted
    }

    fn forget(&self, of: &Blocked) {
        let mut state = self.state.lock();
        let key = (of.claim.file, of.claim.owner.clone());
        if let Some(of_owner) = state.blocked.get_mut(&key) {
            of_owner.retain(|blocked| !std::ptr::eq(&**blocked, of));
            if of_owner.is_empty() {
                state.blocked.remove(&key);
            }
        }
    }

    /// Has a client called.
    fn begin(&self, of: &Blocked) {
        let mut state = self.state.lock();
        let of_owner = state.blocked.get(&(of.claim.file, of.claim.owner.clone()));
        let found = of_owner.and_then(|all| all.iter().find(|blocked| std::ptr::eq(&***blocked, of)).cloned());
        let Some(blocked) = found else { return };
        let client = of.claim.owner.client.clone();
        state.grants += 1;
        state.queues.entry(client.clone()).or_default().push_back(blocked);
        if state.called.contains(&client) || state.left.contains(&client) {
            return;
        }
        if state.called.len() >= THREADS_MAX {
            state.left.push_back(client);
            return;
        }
        state.called.insert(client.clone());
        drop(state);
        let Some(granter) = self.me.upgrade() else { return };
        let thread = std::thread::Builder::new().name("nlm-grant".to_owned());
        if thread
            .spawn({
                let client = client.clone();
                move || granter.call_clients(client)
            })
            .is_err()
        {
            // The client asks again by itself, and finds that it has the lock.
            self.state.lock().called.remove(&client);
        }
    }

    /// Calls a client until it has been told all, then those that were left.
    fn call_clients(&self, mut client: Arc<Client>) {
        loop {
            let mut link = Link { granter: self, client: client.clone(), caller: None };
            while let Some(blocked) = self.next(&client) {
                if !link.deliver(&blocked) {
                    self.give_up(&client, &blocked);
                }
                self.forget(&blocked);
            }
            let mut state = self.state.lock();
            state.called.remove(&client);
            // One that came in the meantime.
            if state.queues.contains_key(&client) {
                state.left.push_back(client);
            }
            let Some(next) = state.left.pop_front() else { return };
            state.called.insert(next.clone());
            client = next;
        }
    }

    fn next(&self, client: &Arc<Client>) -> Option<Arc<Blocked>> {
        let mut state = self.state.lock();
        let next = state.queues.get_mut(client).and_then(VecDeque::pop_front);
        if next.is_none() {
            state.queues.remove(client);
        }
        next
    }

    /// Takes back what a client was to be told, all at once: it is gone.
    fn give_up(&self, client: &Arc<Client>, first: &Arc<Blocked>) {
        let rest = self.state.lock().queues.remove(client).unwrap_or_default();
        for blocked in std::iter::once(first).chain(&rest) {
            self.take_back(blocked);
            self.forget(blocked);
        }
        tracing::warn!(client = %client, "cannot tell a client that it has the lock it waited for; the next one gets it");
    }

    fn take_back(&self, blocked: &Blocked) {
        let was_granted = {
            let mut progress = blocked.progress.lock();
            std::mem::replace(&mut *progress, Progress::Settled) == Progress::Granted
        };
        if was_granted {
            self.state.lock().undelivered += 1;
            self.locks.unlock(blocked.claim.file, &blocked.claim.owner, blocked.claim.range);
        }
    }
}

/// The way to a client's lock manager.
struct Link<'a> {
    granter: &'a Granter,
    client: Arc<Client>,
    caller: Option<Caller>,
}

impl Link<'_> {
    /// Tells a client of its lock. False if it cannot be reached, and cannot have been told.
    fn deliver(&mut self, blocked: &Blocked) -> bool {
        let mut may_know = false;
        for rest in RESTS {
            let is_settled = || *blocked.progress.lock() == Progress::Settled;
            if !self.granter.bell.sleep(rest) || is_settled() {
                return true;
            }
            match self.call(blocked) {
                Ok(Stat::GRANTED) => return true,
                Ok(Stat::DENIED_GRACE_PERIOD) => {}
                // It no longer waits: it was interrupted, or an earlier call has reached it.
                Ok(_) => {
                    if !may_know {
                        self.granter.take_back(blocked);
                    }
                    return true;
                }
                Err(error) => {
                    may_know |= error == CallError::NotAnswered;
                    self.caller = None;
                }
            }
        }
        may_know
    }

    fn call(&mut self, blocked: &Blocked) -> Result<Stat, CallError> {
        let Granter { directory, buffers, .. } = self.granter;
        let Wanted { caller, handle, owner, process, offset, length, server } = &blocked.wanted;
        let (process, offset, length) = (*process, *offset, *length);
        if self.caller.is_none() {
            let address = self.client.address.ok_or(CallError::NotReached)?;
            self.caller = Some(directory.connect(*server, address, PROGRAM, VERSION)?);
        }
        let link = self.caller.as_mut().ok_or(CallError::NotReached)?;
        let mut arguments = Encoder::new(buffers.take(0));
        let subject = Subject { caller, handle, owner, process, offset, length };
        // The client does not use it, but may want one.
        encode_granted(&mut arguments, &1_u32.to_be_bytes(), blocked.claim.kind, &subject);
        let results = link.call(GRANTED, arguments.bytes())?;
        decode_stat(&mut Decoder::new(&results)).map_err(|_| CallError::NotAnswered)
    }
}
