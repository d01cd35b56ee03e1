//! What the server has done, as plain data.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::nfs::clients::Traffic;
use crate::nfs::{mount, nlm, v3};

/// Buckets of a histogram: bucket `n` counts calls of less than `8 << n` microseconds, the last all others.
pub const BUCKETS: usize = 20;

/// What a call counts as in the mean, if it took longer: one that others kept from running for a while does not make all
/// those after it look slow.
const SLOW: Duration = Duration::from_micros(500);

/// Why a call was not run, or not let at the file that it named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The record or the arguments cannot be decoded.
    Garbage,
    /// Another version of RPC.
    RpcVersion,
    /// Credentials that cannot be decoded.
    Credentials,
    /// Credentials of a flavor that we do not take.
    Flavor,
    /// An unknown program.
    Program,
    /// An unknown version of a program.
    Version,
    /// An unknown procedure.
    Procedure,
    /// No rule of the share admits the client.
    NotAdmitted,
    /// A handle of what is gone, or not shared.
    Stale,
    /// A handle that this pool's server did not make.
    BadHandle,
}

/// All reasons, as metrics name them, in the order of [`Reason`].
const REASONS: [(Reason, &str); 10] = [
    (Reason::Garbage, "garbage"),
    (Reason::RpcVersion, "rpc_version"),
    (Reason::Credentials, "bad_credentials"),
    (Reason::Flavor, "auth_flavor"),
    (Reason::Program, "unknown_program"),
    (Reason::Version, "unknown_version"),
    (Reason::Procedure, "unknown_procedure"),
    (Reason::NotAdmitted, "acl"),
    (Reason::Stale, "stale_handle"),
    (Reason::BadHandle, "bad_handle"),
];

/// Calls of one procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcedureCounters {
    /// `nfs`, `mount` or `nlm`.
    pub program: &'static str,
    /// The procedure's name.
    pub procedure: &'static str,
    /// Calls run.
    pub calls: u64,
    /// Those with a status other than OK.
    pub errors: u64,
    /// Time that they took together, in microseconds.
    pub micros: u64,
    /// Calls by time: see [`BUCKETS`].
    pub histogram: [u64; BUCKETS],
}

/// Everything counted since the server started, and what is open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// By procedure.
    pub procedures: Vec<ProcedureCounters>,
    /// Bytes of records received.
    pub received_bytes: u64,
    /// Bytes of replies sent.
    pub sent_bytes: u64,
    /// Calls answered from kept replies.
    pub replayed: u64,
    /// Calls dropped because the same one was being run.
    pub dropped: u64,
    /// Records and calls that were refused, by reason as metrics name it.
    pub refused: Vec<(&'static str, u64)>,
    /// Calls during which the server's own code panicked.
    pub panics: u64,
    /// Connections taken.
    pub accepted: u64,
    /// Connections turned away because there were too many.
    pub turned_away: u64,
    /// Connections ended because a peer stalled or did not take its replies.
    pub stalled: u64,
    /// Connections now.
    pub connections: u64,
    /// Bytes of large buffers in use now.
    pub buffer_bytes: u64,
    /// Clients called, as a lock that they waited for was theirs.
    pub grants: u64,
    /// Those of them that were gone, so that others got the lock.
    pub grants_lost: u64,
    /// By share and by client.
    pub traffic: Traffic,
}

/// One number that grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Procedure {
    calls: Counter,
    errors: Counter,
    micros: Counter,
    histogram: [Counter; BUCKETS],
    /// A moving mean, in nanoseconds.
    recent_nanos: AtomicU64,
}

/// The counters while they count.
pub struct Counting {
    nfs: [Procedure; v3::PROCEDURES.len()],
    mount: [Procedure; mount::PROCEDURES.len()],
    nlm: [Procedure; nlm::PROCEDURES.len()],
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) replayed: Counter,
    pub(super) dropped: Counter,
    refused: [Counter; REASONS.len()],
    pub(super) panics: Counter,
    pub(super) accepted: Counter,
    pub(super) turned_away: Counter,
    pub(super) stalled: Counter,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            nfs: std::array::from_fn(|_| Procedure::default()),
            mount: std::array::from_fn(|_| Procedure::default()),
            nlm: std::array::from_fn(|_| Procedure::default()),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            replayed: Counter::default(),
            dropped: Counter::default(),
            refused: Default::default(),
            panics: Counter::default(),
            accepted: Counter::default(),
            turned_away: Counter::default(),
            stalled: Counter::default(),
        }
    }
}

impl Counters {
    /// How many were refused for a reason.
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.refused[reason as usize].1
    }
}

impl Counting {
    /// Notes how long an NFS procedure ran, without what its answer waited for while others ran.
    pub fn nfs_run(&self, procedure: usize, took: Duration) {
        self.nfs[procedure].note(took);
    }

    /// Counts a call of an NFS procedure.
    pub fn nfs_call(&self, procedure: usize, took: Duration, failed: bool) {
        self.nfs[procedure].call(took, failed);
    }

    /// Counts a call of a MOUNT procedure.
    pub fn mount_call(&self, procedure: usize, took: Duration, failed: bool) {
        self.mount[procedure].call(took, failed);
    }

    /// Counts a call of an NLM procedure, if it is one.
    pub fn nlm_call(&self, procedure: usize, took: Duration, failed: bool) {
        if nlm::PROCEDURES.get(procedure).is_some_and(|name| !name.is_empty()) {
            self.nlm[procedure].call(took, failed);
        }
    }

    /// Counts a record or a call that was refused.
    pub fn refuse(&self, reason: Reason) {
        self.refused[reason as usize].add(1);
    }

    /// How many were refused for a reason.
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.refused[reason as usize].get()
    }

    /// How long an NFS procedure has lately run.
    pub fn recent(&self, procedure: usize) -> Duration {
        Duration::from_nanos(self.nfs[procedure].recent_nanos.load(Ordering::Relaxed))
    }

    /// Everything, and the figures that others know, but for those of grants.
    pub fn snapshot(&self, connections: u64, buffer_bytes: u64, traffic: Traffic) -> Counters {
        let nfs = self.nfs.iter().zip(&v3::PROCEDURES).map(|(counted, of)| counted.snapshot("nfs", of.name));
        let mount = self.mount.iter().zip(mount::PROCEDURES).map(|(counted, name)| counted.snapshot("mount", name));
        let nlm = self.nlm.iter().zip(nlm::PROCEDURES).map(|(counted, name)| counted.snapshot("nlm", name));
        Counters {
            procedures: nfs.chain(mount).chain(nlm).collect(),
            received_bytes: self.received_bytes.get(),
            sent_bytes: self.sent_bytes.get(),
            replayed: self.replayed.get(),
            dropped: self.dropped.get(),
            refused: REASONS.iter().map(|(reason, name)| (*name, self.refusals(*reason))).collect(),
            panics: self.panics.get(),
            accepted: self.accepted.get(),
            turned_away: self.turned_away.get(),
            stalled: self.stalled.get(),
            connections,
            buffer_bytes,
            grants: 0,
            grants_lost: 0,
            traffic,
        }
    }
}

impl Procedure {
    fn call(&self, took: Duration, failed: bool) {
        self.calls.add(1);
        self.errors.add(failed.into());
        let micros = took.as_micros() as u64;
        self.micros.add(micros);
        let bucket = (u64::BITS - (micros >> 3).leading_zeros()) as usize;
        self.histogram[bucket.min(BUCKETS - 1)].add(1);
    }

    fn note(&self, took: Duration) {
        let nanos = took.min(SLOW).as_nanos() as u64;
        let before = self.recent_nanos.load(Ordering::Relaxed);
        // Calls that end together may overwrite each other's share, which a mean survives.
        self.recent_nanos.store(before - before / 8 + nanos / 8, Ordering::Relaxed);
    }

    fn snapshot(&self, program: &'static str, procedure: &'static str) -> ProcedureCounters {
        ProcedureCounters {
            program,
            procedure,
            calls: self.calls.get(),
            errors: self.errors.get(),
            micros: self.micros.get(),
            histogram: std::array::from_fn(|bucket| self.histogram[bucket].get()),
        }
    }
}
