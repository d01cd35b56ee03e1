//! What all handles of an open pool share.
//!
//! Invariant: a change holds `gate` shared; whoever cuts holds it exclusively, so a cut falls between
//! changes. `committed` is held while a commit becomes durable, so that one at a time does.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Holder};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::Errands;
use crate::format::{Birth, PoolId, Timestamp};
use crate::fs::{CallId, Names};
use crate::intent::{IntentLog, LogPosition};
use crate::media::{Media, MediaFile};
use crate::pool::Budgets;
use crate::pool::ahead::ReadAhead;
use crate::pool::clean::Cleaning;
use crate::pool::cut::Job;
use crate::pool::cuts::Cuts;
use crate::pool::epoch::{Epoch, Pin};
use crate::pool::head::{Head, Present};
use crate::pool::scrub::Scrubbing;
use crate::pool::space::Awaiting;
use crate::pool::view::Latest;
use crate::reclaim::Sifter;
use crate::scrub::Damage;
use crate::store::Store;
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Mutex, Ordering, RwLock};
use crate::tree::Root;

/// Most damage that is kept to be told.
const FOUND_MAX: usize = 1000;

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const POISONED: u8 = 2;

/// An open pool.
pub struct Core {
    /// Where its files are.
    pub media: Arc<dyn Media>,
    /// Its id.
    pub id: PoolId,
    /// Keys everything that needs a key.
    pub secret: [u8; 32],
    /// Extents and nodes.
    pub store: Arc<Store>,
    /// What was promised since the last commit.
    pub log: IntentLog,
    /// The file with both slots.
    pub superblock: Arc<dyn MediaFile>,
    /// Hashes names.
    pub names: Names,
    /// Memory.
    pub budgets: Budgets,
    /// Changes with every open.
    pub boot: u64,
    /// Datasets and snapshots, as of the last commit (or the one in progress).
    pub catalog: RwLock<Catalog>,
    /// The commit that `catalog` is as of; written while that is locked.
    pub catalog_birth: AtomicU64,
    /// Heads and snapshots in use.
    pub heads: Mutex<HashMap<Holder, Arc<Head>>>,
    /// Heads that have something beyond their root.
    pub dirty_heads: Mutex<HashMap<Holder, Arc<Head>>>,
    /// Bytes of memory that overlays take.
    pub dirty_len: AtomicU64,
    /// Held shared by changes, exclusively by cuts.
    pub gate: RwLock<()>,
    /// Verbs that wait for a commit.
    pub jobs: Mutex<Vec<Job>>,
    /// How many cuts there were; written while the gate is held exclusively.
    pub last_cut: AtomicU64,
    /// The last of them that took along all heads and is durable.
    pub last_whole: AtomicU64,
    /// Locked during a whole commit.
    pub flight: Mutex<()>,
    /// Whether somebody waited for room in dirty memory since a large head was last written back.
    pub pressed: AtomicBool,
    /// The last cut when all that could be given back had been.
    pub settled: AtomicU64,
    /// The last commit; locked while the next becomes durable.
    pub committed: Mutex<Committed>,
    /// The last commit's roots, for who reads them without waiting for the next; see [`Core::committed_view`].
    pub latest: Mutex<Latest>,
    /// Who reads what.
    pub epoch: Arc<Epoch>,
    /// Whether cleaning moved something, which takes effect with the next commit.
    pub moved: AtomicBool,
    /// What sifting remembers.
    pub sifter: Mutex<Sifter>,
    /// What cleaning remembers.
    pub cleaning: Mutex<Cleaning>,
    /// Where scrubbing is; locked for moments only.
    pub scrubbing: Mutex<Scrubbing>,
    /// Locked during a step of it.
    pub scrub_turn: Mutex<()>,
    /// What purging all that waits would free, and how that was counted last.
    pub awaiting: Mutex<Awaiting>,
    /// Bytes of it.
    pub awaiting_len: AtomicU64,
    /// Who reads in order.
    pub ahead: ReadAhead,
    /// What other threads fetch for them.
    pub errands: Errands,
    /// What the pool did so far.
    pub tally: Tally,
    /// Calls that the log told of when the pool was opened.
    pub done_before: Mutex<Vec<CallId>>,
    /// Damage that nobody was told of yet.
    pub found: Mutex<Vec<Damage>>,
    pub(in crate::pool) mode: AtomicU8,
}

/// What the next commit builds upon.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The last commit's number.
    pub birth: Birth,
    /// Its system tree.
    pub system: Root,
    /// Where the log goes on after it.
    pub log: LogPosition,
    /// Whose records from there on it has already.
    pub cuts: Cuts,
    /// When it was asked for.
    pub at: Timestamp,
    /// How many commits in a row had nothing to do.
    pub idle: u32,
    /// The number of a whole commit that is still writing back.
    pub reserved: Option<Birth>,
}

/// Counters that are not kept elsewhere.
#[derive(Debug, Default)]
pub struct Tally {
    /// Commits.
    pub commits: AtomicU64,
    /// Those of them that took along all heads.
    pub whole_commits: AtomicU64,
    /// Plain bytes that arrived by writes.
    pub written_bytes: AtomicU64,
    /// Plain bytes that reads returned.
    pub read_bytes: AtomicU64,
    /// Plain bytes that deduplication kept from being stored.
    pub deduplicated_bytes: AtomicU64,
}

impl Core {
    /// Fails once the pool is closed, or a failed write or flush left unknown what is durable.
    pub fn check(&self) -> Result<()> {
        match self.mode.load(Ordering::Acquire) {
            OPEN => Ok(()),
            POISONED => Err(ErrorKind::Poisoned.into()),
            _ => Err(Error::new(ErrorKind::Stale, "the pool is closed")),
        }
    }

    /// Keeps damage that was come upon for whoever asks next.
    pub fn note_damage(&self, damage: Damage) {
        let mut found = self.found.lock();
        if found.len() < FOUND_MAX && !found.contains(&damage) {
            found.push(damage);
        }
    }

    /// Like [`Self::check`], for reads: a poisoned pool still answers them.
    pub fn check_reading(&self) -> Result<()> {
        match self.mode.load(Ordering::Acquire) {
            CLOSED => Err(Error::new(ErrorKind::Stale, "the pool is closed")),
            _ => Ok(()),
        }
    }

    /// Refuses all further calls, and waits for what was fetched ahead.
    pub fn shut(&self) {
        self.mode.store(CLOSED, Ordering::Release);
        self.errands.close();
    }

    /// Refuses all further changes.
    pub fn poison(&self) {
        let _ = self.mode.compare_exchange(OPEN, POISONED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Poisons the pool if its files are: whoever hears that it is finds it so.
    pub fn heed<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if error.kind() == ErrorKind::Poisoned {
                self.poison();
            }
        })
    }

    /// The head or snapshot, taken into use if it is not yet.
    pub fn head(&self, holder: Holder) -> Result<Arc<Head>> {
        // The catalog stays locked until the head is in the map: a rewind in between would not find it there.
        let catalog = self.catalog.read();
        let mut heads = self.heads.lock();
        if let Some(head) = heads.get(&holder) {
            return Ok(Arc::clone(head));
        }
        let state = *catalog.state(holder)?;
        let dataset = catalog.dataset_of(holder)?;
        let properties = catalog.properties(dataset)?.clone();
        let head = Arc::new(Head::new(holder, dataset, properties, &state, &self.store));
        heads.insert(holder, Arc::clone(&head));
        Ok(head)
    }

    /// What a head has now, and a pin that keeps it readable.
    pub fn view(&self, head: &Head) -> Result<(Pin, Present)> {
        self.check_reading()?;
        head.check_present()?;
        let pin = self.epoch.pin();
        Ok((pin, head.present()))
    }

    /// Bytes of memory that overlays take.
    pub fn dirty(&self) -> u64 {
        self.dirty_len.load(Ordering::Relaxed)
    }

    /// Notes that a head has something beyond its root, and how much more memory that takes.
    pub fn note_dirty(&self, head: &Arc<Head>, before: u64, after: u64) {
        if after >= before {
            self.dirty_len.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.dirty_len.fetch_sub(before - after, Ordering::Relaxed);
        }
        self.dirty_heads.lock().entry(head.holder).or_insert_with(|| Arc::clone(head));
    }
}
