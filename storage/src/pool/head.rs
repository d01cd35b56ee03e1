//! What the pool keeps in memory of a head or snapshot that is in use.
//!
//! Invariants: changes happen one at a time, under `operations`, and only while the gate is held
//! shared; roots and figures of a commit are installed together. An inode gets no number that a commit has not
//! reserved: after a crash a head goes on behind all that were reserved, so none is given twice, lost or not.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{Holder, Properties, State};
use crate::content::{Layers, Overlay};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, InodeNumber};
use crate::intent::Ticket;
use crate::store::Store;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, RwLock};
use crate::tree::Root;

/// Inode numbers that a commit reserves.
const NUMBERS_RESERVED: u64 = 1 << 16;

/// One head or snapshot.
pub struct Head {
    /// Which one.
    pub holder: Holder,
    /// The dataset that it belongs to.
    pub dataset: DatasetId,
    /// Bytes in a block.
    pub block_len: u32,
    operations: Mutex<Operations>,
    present: RwLock<Present>,
    properties: RwLock<Properties>,
    retained: Mutex<HashMap<InodeNumber, u32>>,
    paused: AtomicU32,
    gone: AtomicBool,
    /// Whether there may be orphans that nobody has open.
    reap_due: AtomicBool,
    /// The last cut for some heads, this one among them.
    last_cut: AtomicU64,
}

/// What only changes look at.
pub struct Operations {
    /// The number that the next new inode takes.
    pub next_inode: u64,
    /// Numbers from here on are not reserved.
    reserved_inode: u64,
    /// Whether the next commit is to reserve more.
    wants_numbers: bool,
    /// Inodes in use.
    pub inodes: u64,
    /// The last record that was logged.
    pub last_logged: Option<Ticket>,
}

/// What readers look at.
#[derive(Clone)]
pub struct Present {
    /// Root and overlays.
    pub layers: Layers,
    /// Logical bytes that the root has allocated.
    pub committed_bytes: u64,
    /// Inodes in use, as of the root.
    pub committed_inodes: u64,
}

/// What a commit takes of a head.
pub struct Frozen {
    /// The head.
    pub head: Arc<Head>,
    /// What it had beyond its root.
    pub overlay: Arc<RwLock<Overlay>>,
    /// That root.
    pub below: Root,
    /// Memory that the overlay takes.
    pub dirty_len: u64,
    /// What the catalog is to know, but for the new root and its size.
    pub state: State,
}

impl Head {
    /// Takes a head or snapshot into use.
    pub fn new(holder: Holder, dataset: DatasetId, properties: Properties, state: &State, store: &Arc<Store>) -> Self {
        let block_len = properties.block_size;
        Self {
            holder,
            dataset,
            block_len,
            operations: Mutex::new(Operations::of(state)),
            present: RwLock::new(Present::of(state, block_len, store)),
            properties: RwLock::new(properties),
            retained: Mutex::default(),
            paused: AtomicU32::new(0),
            gone: AtomicBool::new(false),
            reap_due: AtomicBool::new(true),
            last_cut: AtomicU64::new(0),
        }
    }

    /// Begins a change. The gate is held shared for as long as the result is kept.
    pub fn operate(&self) -> Result<MutexGuard<'_, Operations>> {
        self.check_present()?;
        let readonly = matches!(self.holder, Holder::Snapshot(_)) || self.properties.read().readonly;
        if readonly {
            return Err(ErrorKind::ReadOnly.into());
        }
        if self.paused.load(Ordering::Acquire) > 0 {
            return Err(Error::new(ErrorKind::Busy, "the dataset is being rewound or destroyed"));
        }
        Ok(self.operations.lock())
    }

    /// Begins a change that was promised already.
    pub fn operate_always(&self) -> MutexGuard<'_, Operations> {
        self.operations.lock()
    }

    /// Fails with `Stale` once the dataset or snapshot is destroyed.
    pub fn check_present(&self) -> Result<()> {
        match self.gone.load(Ordering::Acquire) {
            true => Err(Error::new(ErrorKind::Stale, "the dataset or snapshot was destroyed")),
            false => Ok(()),
        }
    }

    /// Root, overlays and figures, of one instant.
    pub fn present(&self) -> Present {
        self.present.read().clone()
    }

    /// How the dataset stores and serves.
    pub fn properties(&self) -> Properties {
        self.properties.read().clone()
    }

    /// Notes changed properties.
    pub fn set_properties(&self, properties: Properties) {
        *self.properties.write() = properties;
        // While it was read-only nothing was reaped.
        self.set_reap_due(true);
    }

    /// Whether fsync waits.
    pub fn waits_for_sync(&self) -> bool {
        self.properties.read().sync == crate::catalog::SyncMode::Standard
    }

    /// Keeps changes out (`Busy`) until [`Self::resume`]. A change that was let in before ends before the next cut.
    pub fn pause(&self) {
        self.paused.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends one [`Self::pause`].
    pub fn resume(&self) {
        self.paused.fetch_sub(1, Ordering::AcqRel);
    }

    /// Answers `Stale` from now on.
    pub fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Moves what is beyond the root aside for a commit. The gate is held exclusively. `None` if there is nothing.
    pub fn freeze(self: &Arc<Self>) -> Option<Frozen> {
        let mut operations = self.operations.lock();
        let mut present = self.present.write();
        if !present.layers.freeze() {
            if !operations.wants_numbers {
                return None;
            }
            // So that all see that the head belongs to this commit: it is to give it the root that it has now.
            present.layers.freeze_even_if_empty();
        }
        let overlay = present.layers.frozen().cloned().unwrap_or_default();
        let (dirty_len, change) = {
            let overlay = overlay.read();
            (overlay.bytes(), overlay.allocated_change())
        };
        let below = *present.layers.root();
        let state = State {
            root: below,
            referenced: present.committed_bytes.saturating_add_signed(change),
            inodes: operations.inodes,
            next_inode: operations.reserve(),
        };
        Some(Frozen { head: Arc::clone(self), overlay, below, dirty_len, state })
    }

    /// The number of the group of the log that has this head's last record; 0 if it has none.
    pub fn last_logged(&self) -> u64 {
        self.operations.lock().last_logged.map_or(0, Ticket::sequence)
    }

    /// Whether a commit is writing back what this head had.
    pub fn is_frozen(&self) -> bool {
        self.present.read().layers.frozen().is_some()
    }

    /// Takes a commit's result, which is durable.
    pub fn install(&self, state: &State) {
        let mut operations = self.operations.lock();
        operations.reserved_inode = operations.reserved_inode.max(state.next_inode);
        let mut present = self.present.write();
        present.layers.install(state.root);
        (present.committed_bytes, present.committed_inodes) = (state.referenced, state.inodes);
    }

    /// Replaces all that the head has, after a rewind. It is paused, and was frozen and installed.
    pub fn reset(&self, state: &State, store: &Arc<Store>) {
        let mut operations = self.operations.lock();
        *operations = Operations::of(state);
        *self.present.write() = Present::of(state, self.block_len, store);
        self.retained.lock().clear();
        self.set_reap_due(true);
    }

    /// Notes the number of a cut for some heads, this one among them. The gate is held exclusively.
    pub fn note_cut(&self, ticket: u64) {
        self.last_cut.store(ticket, Ordering::Release);
    }

    /// The number of the last cut for some heads, this one among them; 0 if there was none.
    pub fn last_cut(&self) -> u64 {
        self.last_cut.load(Ordering::Acquire)
    }

    /// Keeps an inode alive.
    pub fn retain(&self, inode: InodeNumber) {
        *self.retained.lock().entry(inode).or_default() += 1;
    }

    /// Ends one [`Self::retain`].
    pub fn release(&self, inode: InodeNumber) {
        let mut retained = self.retained.lock();
        if let Some(count) = retained.get_mut(&inode) {
            *count -= 1;
            if *count == 0 {
                retained.remove(&inode);
                self.set_reap_due(true);
            }
        }
    }

    /// Whether somebody has an inode open.
    pub fn is_retained(&self, inode: InodeNumber) -> bool {
        self.retained.lock().contains_key(&inode)
    }

    /// Notes whether there may be orphans to reap.
    pub fn set_reap_due(&self, due: bool) {
        self.reap_due.store(due, Ordering::Release);
    }

    /// Whether there may be orphans to reap.
    pub fn reap_due(&self) -> bool {
        self.reap_due.load(Ordering::Acquire)
    }
}

impl Operations {
    fn of(state: &State) -> Self {
        let State { inodes, next_inode, .. } = *state;
        Self { next_inode, reserved_inode: next_inode, wants_numbers: false, inodes, last_logged: None }
    }

    /// Whether the next new inode has a number. If not, the next commit reserves some.
    pub fn has_number(&mut self) -> bool {
        self.wants_numbers = self.next_inode >= self.reserved_inode;
        !self.wants_numbers
    }

    /// The number up to which the commit that is being cut reserves.
    fn reserve(&mut self) -> u64 {
        self.wants_numbers = false;
        match self.next_inode + NUMBERS_RESERVED / 2 > self.reserved_inode {
            true => self.next_inode + NUMBERS_RESERVED,
            false => self.reserved_inode,
        }
    }
}

impl Present {
    fn of(state: &State, block_len: u32, store: &Arc<Store>) -> Self {
        let layers = Layers::new(Arc::clone(store), block_len, state.root);
        Self { layers, committed_bytes: state.referenced, committed_inodes: state.inodes }
    }

    /// Logical bytes allocated now.
    pub fn allocated_bytes(&self) -> u64 {
        self.committed_bytes.saturating_add_signed(self.layers.allocated_change())
    }
}
