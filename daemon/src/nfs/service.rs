//! From a record to its reply: which program, which procedure, run or replayed.
//!
//! Invariant: every call ends in exactly one reply, except one that is being run already; a panic in one
//! call is that call's failure and nobody else's.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cow_storage::format::Timestamp;

use crate::nfs::buffers::{Buffers, Portion};
use crate::nfs::counters::{Counting, Reason};
use crate::nfs::handle::{self, HandleKey};
use crate::nfs::known::Known;
use crate::nfs::mount::{self, Mounts, Told};
use crate::nfs::nlm::{self, Locking};
use crate::nfs::nsm;
use crate::nfs::portmap::{self, Asked};
use crate::nfs::promised::{self, Promised};
use crate::nfs::replay::{Replay, Running, Verdict};
use crate::nfs::rpc::{self, Accepted, Call, Denial, Header};
use crate::nfs::status::Status;
use crate::nfs::tally::Totals;
use crate::nfs::target::{Request, Seen};
use crate::nfs::uses::{Kept, Uses};
use crate::nfs::v3::{self, Once, PROCEDURES, Procedure};
use crate::nfs::xdr::{Decoder, Encoder, Garbage};
use crate::shares::Views;

/// What waking another thread costs: quicker calls are run without.
const HAND_OVER: Duration = Duration::from_micros(50);

/// All that calls share.
pub struct Service {
    pub(super) views: Arc<dyn Views>,
    pub(super) key: HandleKey,
    pub(super) buffers: Arc<Buffers>,
    pub(super) replay: Replay,
    pub(super) counting: Counting,
    pub(super) mounts: Mounts,
    pub(super) uses: Uses,
    pub(super) locking: Arc<Locking>,
    /// The port of all programs, if this stands in for rpcbind too.
    pub(super) portmapped: OnceLock<u16>,
}

/// The connection that a record came on.
pub struct Origin {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address of ours that it came to.
    pub server: Option<IpAddr>,
    /// Set once it has ended.
    pub ended: Arc<AtomicBool>,
    /// Where its calls are counted.
    kept: Kept,
    /// Whether a share admits its client.
    is_admitted: AtomicBool,
    /// Whether it is one datagram, and no connection.
    is_datagram: bool,
}

impl Origin {
    /// A connection from this address to one of ours.
    pub fn new(peer: SocketAddr, server: Option<IpAddr>) -> Self {
        let server = server.map(|server| server.to_canonical());
        let (kept, is_admitted) = (Kept::new(peer.ip()), AtomicBool::new(false));
        Self { peer, server, ended: Arc::default(), kept, is_admitted, is_datagram: false }
    }

    /// The same of a datagram.
    #[must_use]
    pub fn of_datagram(self) -> Self {
        Self { is_datagram: true, ..self }
    }
}

/// What a record is answered with.
pub enum Answer<'a> {
    /// These bytes.
    Reply(Encoder),
    /// These, once what the call changed is durable.
    Promised(Box<Promised<'a>>),
    /// Kept bytes.
    Kept(Box<[u8]>),
    /// Nothing.
    Nothing,
    /// The end of the connection: it was no call.
    End,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.locking.stop();
    }
}

impl Service {
    /// Whether a call like this one has lately taken so long that others should not wait behind it.
    pub fn is_slow(&self, record: &[u8]) -> bool {
        let word = |at: usize| record.get(at..at + 4).map(|word| u32::from_be_bytes(word.try_into().expect("four")));
        match (word(12), word(20)) {
            (Some(v3::PROGRAM), Some(procedure)) if (procedure as usize) < PROCEDURES.len() => {
                self.counting.recent(procedure as usize) > HAND_OVER
            }
            _ => false,
        }
    }

    /// What a connection's buffers are taken from. Shares may come to admit a stranger; one that was admitted stays so.
    pub fn portion(&self, origin: &Origin) -> Portion {
        let is_known = origin.is_admitted.load(Ordering::Relaxed) || self.views.admits(origin.peer);
        origin.is_admitted.store(is_known, Ordering::Relaxed);
        self.buffers.portion(is_known.then(|| origin.peer.ip().to_canonical()))
    }

    /// Answers a record. What it changed is durable, unless the answer is a promise, for those who take one.
    pub fn answer(&self, origin: &Origin, record: &[u8], takes_promises: bool) -> Answer<'_> {
        let mut reply = Encoder::new(self.portion(origin).take(0));
        match rpc::decode(record) {
            Err(Garbage) => {
                self.counting.refuse(Reason::Garbage);
                return Answer::End;
            }
            Ok(Header::Denied(xid, denial)) => {
                self.counting.refuse(match denial {
                    Denial::RpcVersion => Reason::RpcVersion,
                    Denial::BadCredentials => Reason::Credentials,
                    Denial::TooWeak => Reason::Flavor,
                });
                rpc::encode_denied(&mut reply, xid, denial);
            }
            Ok(Header::Call(call, arguments)) => {
                let seen = Seen::default();
                let known = Known::new(origin.peer, &call, record, &*self.views);
                let is_durable = !(takes_promises && promised::is_promised(&call));
                let request = Request { known, is_durable, ..self.request(origin, &call, &seen) };
                return self.answer_call(origin, &call, &request, (record, arguments), reply);
            }
        }
        rpc::seal(&mut reply);
        Answer::Reply(reply)
    }

    fn answer_call(
        &self,
        origin: &Origin,
        call: &Call,
        request: &Request<'_>,
        (record, arguments): (&[u8], Decoder<'_>),
        mut reply: Encoder,
    ) -> Answer<'_> {
        let (began, mut running) = (Instant::now(), None);
        if is_replayed(call) {
            match self.replay.begin(origin.peer, call, record, &origin.ended) {
                Verdict::Run(run) => running = Some(run),
                Verdict::Replay(kept) => {
                    self.count_replayed(origin, arguments);
                    return Answer::Kept(kept);
                }
                Verdict::Drop => {
                    self.counting.dropped.add(1);
                    return Answer::Nothing;
                }
            }
        }
        let status = self.run(origin, call, request, arguments, &mut reply);
        rpc::seal(&mut reply);
        if let (Some(Status::OK), Some(unsettled)) = (status, request.seen.unsettled.take()) {
            let (xid, procedure) = (call.xid, call.procedure as usize);
            return Answer::Promised(Box::new(Promised { reply, running, unsettled, xid, procedure, began }));
        }
        keep(running, status, &reply);
        Answer::Reply(reply)
    }

    /// Runs a call and makes its reply; if that panics, the call failed. `None` if there is nothing to keep.
    fn run(
        &self,
        origin: &Origin,
        call: &Call,
        request: &Request<'_>,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Option<Status> {
        let began = Instant::now();
        let accepted = match (call.program, call.version) {
            (v3::PROGRAM, v3::VERSION) => match PROCEDURES.get(call.procedure as usize) {
                Some(procedure) => {
                    let status = self.run_nfs(procedure, request, call.xid, arguments, reply);
                    let failed = status != Ok(Status::OK);
                    self.counting.nfs_run(call.procedure as usize, began.elapsed());
                    // What is promised is counted when it is kept.
                    if request.is_durable || failed {
                        self.counting.nfs_call(call.procedure as usize, began.elapsed(), failed);
                    }
                    status
                }
                None => Err(Accepted::ProcedureUnavailable),
            },
            (mount::PROGRAM, mount::VERSION) => {
                let status = self.run_mount(call, request, arguments, reply);
                if (call.procedure as usize) < mount::PROCEDURES.len() {
                    let failed = status != Ok(Status::OK);
                    self.counting.mount_call(call.procedure as usize, began.elapsed(), failed);
                }
                status
            }
            (nlm::PROGRAM, nlm::VERSION) => {
                let status = self.run_nlm(call, request, origin.server, arguments, reply);
                let failed = status != Ok(Status::OK);
                self.counting.nlm_call(call.procedure as usize, began.elapsed(), failed);
                status
            }
            (nsm::PROGRAM, nsm::VERSION) => self.caught(call, reply, |reply| {
                nsm::run(call.procedure, origin.peer.ip(), &self.locking, arguments, reply)
            }),
            (portmap::PROGRAM, _) => self.run_portmap(origin, call, arguments, reply),
            (v3::PROGRAM, _) => Err(Accepted::ProgramMismatch(v3::VERSION)),
            (mount::PROGRAM, _) => Err(Accepted::ProgramMismatch(mount::VERSION)),
            (nlm::PROGRAM, _) => Err(Accepted::ProgramMismatch(nlm::VERSION)),
            (nsm::PROGRAM, _) => Err(Accepted::ProgramMismatch(nsm::VERSION)),
            _ => Err(Accepted::ProgramUnavailable),
        };
        self.count(origin, request.seen, accepted);
        match accepted {
            Ok(status) => Some(status),
            Err(accepted) => {
                rpc::encode_accepted(reply, call.xid, accepted);
                None
            }
        }
    }

    /// Counts what a call came to, for its client and share.
    fn count(&self, origin: &Origin, seen: &Seen, outcome: Result<Status, Accepted>) {
        let is_refused = seen.is_refused.get();
        let reason = match outcome {
            _ if is_refused => Some(Reason::NotAdmitted),
            Ok(Status::STALE) => Some(Reason::Stale),
            Ok(Status::BAD_HANDLE) => Some(Reason::BadHandle),
            Ok(_) | Err(Accepted::SystemError | Accepted::Success) => None,
            Err(Accepted::GarbageArguments) => Some(Reason::Garbage),
            Err(Accepted::ProgramUnavailable) => Some(Reason::Program),
            Err(Accepted::ProgramMismatch(_)) => Some(Reason::Version),
            Err(Accepted::ProcedureUnavailable) => Some(Reason::Procedure),
        };
        reason.into_iter().for_each(|reason| self.counting.refuse(reason));
        let totals = Totals {
            calls: 1,
            errors: (outcome != Ok(Status::OK)).into(),
            refused: is_refused.into(),
            replayed: 0,
            read_bytes: seen.read_bytes.get(),
            written_bytes: seen.written_bytes.get(),
        };
        self.uses.count(&origin.kept, seen.dataset.get(), &totals);
    }

    /// Counts a call whose kept reply goes out again: all of them begin with a handle.
    fn count_replayed(&self, origin: &Origin, mut arguments: Decoder<'_>) {
        self.counting.replayed.add(1);
        let handle = handle::decode(&mut arguments).ok().and_then(|bytes| self.key.open(bytes).ok());
        let totals = Totals { replayed: 1, ..Totals::default() };
        self.uses.count(&origin.kept, handle.map(|handle| handle.dataset), &totals);
    }

    fn run_nfs(
        &self,
        procedure: &Procedure,
        request: &Request<'_>,
        xid: u32,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Result<Status, Accepted> {
        rpc::encode_accepted(reply, xid, Accepted::Success);
        let run = AssertUnwindSafe(|| v3::run(procedure, request, arguments, reply));
        match catch_unwind(run) {
            Ok(done) => done.map_err(|Garbage| Accepted::GarbageArguments),
            Err(_panic) => {
                self.counting.panics.add(1);
                rpc::encode_accepted(reply, xid, Accepted::Success);
                v3::encode_failure(procedure, Status::SERVER_FAULT, reply);
                Ok(Status::SERVER_FAULT)
            }
        }
    }

    fn run_mount(
        &self,
        call: &Call,
        request: &Request<'_>,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Result<Status, Accepted> {
        let told = Told { mounts: &self.mounts, uses: &self.uses };
        self.caught(call, reply, |reply| mount::run(call.procedure, request, &told, arguments, reply))
    }

    fn run_nlm(
        &self,
        call: &Call,
        request: &Request<'_>,
        server: Option<IpAddr>,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Result<Status, Accepted> {
        let asked = nlm::Call { request, locking: &self.locking, server };
        self.caught(call, reply, |reply| nlm::run(call.procedure, &asked, arguments, reply))
    }

    fn run_portmap(
        &self,
        origin: &Origin,
        call: &Call,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Result<Status, Accepted> {
        let port = *self.portmapped.get().ok_or(Accepted::ProgramUnavailable)?;
        if !portmap::VERSIONS.contains(&call.version) {
            return Err(Accepted::ProgramMismatch(*portmap::VERSIONS.start()));
        }
        let asked = Asked { version: call.version, procedure: call.procedure, by_datagram: origin.is_datagram };
        rpc::encode_accepted(reply, call.xid, Accepted::Success);
        portmap::run(asked, port, arguments, reply)
    }

    /// Runs a procedure, if there is one; if it panics, the call failed.
    fn caught(
        &self,
        call: &Call,
        reply: &mut Encoder,
        run: impl FnOnce(&mut Encoder) -> Option<Result<Status, Garbage>>,
    ) -> Result<Status, Accepted> {
        rpc::encode_accepted(reply, call.xid, Accepted::Success);
        match catch_unwind(AssertUnwindSafe(|| run(reply))) {
            Ok(Some(done)) => done.map_err(|Garbage| Accepted::GarbageArguments),
            Ok(None) => Err(Accepted::ProcedureUnavailable),
            Err(_panic) => {
                self.counting.panics.add(1);
                Err(Accepted::SystemError)
            }
        }
    }

    fn request<'a>(&'a self, origin: &Origin, call: &'a Call, seen: &'a Seen) -> Request<'a> {
        let now = timestamp(SystemTime::now());
        let (views, known) = (&*self.views, Known::default());
        let (peer, identity) = (origin.peer, &call.identity);
        Request { views, key: &self.key, peer, identity, now, known, is_durable: true, seen }
    }
}

/// Whether a call must not run twice. A lock that is asked for again harmlessly could still be set, by a call that was held up,
/// after it was given back.
fn is_replayed(call: &Call) -> bool {
    let procedure = call.procedure as usize;
    match (call.program, call.version) {
        (v3::PROGRAM, v3::VERSION) => PROCEDURES.get(procedure).is_some_and(|found| found.once != Once::No),
        (nlm::PROGRAM, nlm::VERSION) => procedure > 1,
        (nsm::PROGRAM, nsm::VERSION) => call.procedure == nsm::NOTIFY,
        _ => false,
    }
}

/// Keeps a reply for the next who asks, unless the client was told to try again.
pub(super) fn keep(running: Option<Running<'_>>, status: Option<Status>, reply: &Encoder) {
    if let (Some(running), Some(status)) = (running, status)
        && !matches!(status, Status::TRY_LATER | Status::SERVER_FAULT)
    {
        running.finish(reply.bytes());
    }
}

/// A moment as the engine counts it.
fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}
