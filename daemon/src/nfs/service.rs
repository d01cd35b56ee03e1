//! From a record to its reply: which program, which procedure, run or replayed.
//!
//! Invariant: every call ends in exactly one reply, except one that is being run already; a panic in one
//! call is that call's failure and nobody else's.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cow_storage::format::Timestamp;

use crate::nfs::buffers::Buffers;
use crate::nfs::counters::Counting;
use crate::nfs::handle::HandleKey;
use crate::nfs::mount::{self, Mounts};
use crate::nfs::replay::{Replay, Running, Verdict};
use crate::nfs::rpc::{self, Accepted, Call, Header};
use crate::nfs::status::Status;
use crate::nfs::target::Request;
use crate::nfs::v3::{self, PROCEDURES, Procedure};
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
}

/// The connection that a record came on.
pub struct Origin {
    /// The client's address.
    pub peer: SocketAddr,
    /// Set once it has ended.
    pub ended: Arc<AtomicBool>,
}

/// What a record is answered with.
pub enum Answer {
    /// These bytes.
    Reply(Encoder),
    /// Kept bytes.
    Kept(Box<[u8]>),
    /// Nothing.
    Nothing,
    /// The end of the connection: it was no call.
    End,
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

    /// Answers a record.
    pub fn answer(&self, origin: &Origin, record: &[u8]) -> Answer {
        let mut reply = Encoder::new(self.buffers.take(0));
        match rpc::decode(record) {
            Err(Garbage) => {
                self.counting.garbage.add(1);
                return Answer::End;
            }
            Ok(Header::Denied(xid, denial)) => {
                self.counting.refused.add(1);
                rpc::encode_denied(&mut reply, xid, denial);
            }
            Ok(Header::Call(call, arguments)) => return self.answer_call(origin, &call, arguments, record, reply),
        }
        rpc::seal(&mut reply);
        Answer::Reply(reply)
    }

    fn answer_call(
        &self,
        origin: &Origin,
        call: &Call,
        arguments: Decoder<'_>,
        record: &[u8],
        mut reply: Encoder,
    ) -> Answer {
        let mut running = None;
        if is_replayed(call) {
            match self.replay.begin(origin.peer, call, record, &origin.ended) {
                Verdict::Run(run) => running = Some(run),
                Verdict::Replay(kept) => {
                    self.counting.replayed.add(1);
                    return Answer::Kept(kept);
                }
                Verdict::Drop => {
                    self.counting.dropped.add(1);
                    return Answer::Nothing;
                }
            }
        }
        let status = self.run(origin, call, arguments, &mut reply);
        rpc::seal(&mut reply);
        keep(running, status, &reply);
        Answer::Reply(reply)
    }

    /// Runs a call and makes its reply; if that panics, the call failed. `None` if there is nothing to keep.
    fn run(&self, origin: &Origin, call: &Call, arguments: Decoder<'_>, reply: &mut Encoder) -> Option<Status> {
        let began = Instant::now();
        let accepted = match (call.program, call.version) {
            (v3::PROGRAM, v3::VERSION) => match PROCEDURES.get(call.procedure as usize) {
                Some(procedure) => {
                    let status = self.run_nfs(procedure, origin, call, arguments, reply);
                    let failed = status != Ok(Status::OK);
                    self.counting.nfs_call(call.procedure as usize, began.elapsed(), failed);
                    status
                }
                None => Err(Accepted::ProcedureUnavailable),
            },
            (mount::PROGRAM, mount::VERSION) => {
                let status = self.run_mount(origin, call, arguments, reply);
                if (call.procedure as usize) < mount::PROCEDURES.len() {
                    let failed = status != Ok(Status::OK);
                    self.counting.mount_call(call.procedure as usize, began.elapsed(), failed);
                }
                status
            }
            (v3::PROGRAM, _) => Err(Accepted::ProgramMismatch(v3::VERSION)),
            (mount::PROGRAM, _) => Err(Accepted::ProgramMismatch(mount::VERSION)),
            _ => Err(Accepted::ProgramUnavailable),
        };
        match accepted {
            Ok(status) => Some(status),
            Err(accepted) => {
                match accepted {
                    Accepted::GarbageArguments => self.counting.garbage.add(1),
                    Accepted::SystemError => {}
                    _ => self.counting.refused.add(1),
                }
                rpc::encode_accepted(reply, call.xid, accepted);
                None
            }
        }
    }

    fn run_nfs(
        &self,
        procedure: &Procedure,
        origin: &Origin,
        call: &Call,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Result<Status, Accepted> {
        rpc::encode_accepted(reply, call.xid, Accepted::Success);
        let request = self.request(origin, call);
        let run = AssertUnwindSafe(|| v3::run(procedure, &request, arguments, reply));
        match catch_unwind(run) {
            Ok(done) => done.map_err(|Garbage| Accepted::GarbageArguments),
            Err(_panic) => {
                self.counting.panics.add(1);
                rpc::encode_accepted(reply, call.xid, Accepted::Success);
                v3::encode_failure(procedure, Status::SERVER_FAULT, reply);
                Ok(Status::SERVER_FAULT)
            }
        }
    }

    fn run_mount(
        &self,
        origin: &Origin,
        call: &Call,
        arguments: Decoder<'_>,
        reply: &mut Encoder,
    ) -> Result<Status, Accepted> {
        rpc::encode_accepted(reply, call.xid, Accepted::Success);
        let request = self.request(origin, call);
        let run = AssertUnwindSafe(|| mount::run(call.procedure, &request, &self.mounts, arguments, reply));
        match catch_unwind(run) {
            Ok(Some(done)) => done.map_err(|Garbage| Accepted::GarbageArguments),
            Ok(None) => Err(Accepted::ProcedureUnavailable),
            Err(_panic) => {
                self.counting.panics.add(1);
                Err(Accepted::SystemError)
            }
        }
    }

    fn request<'a>(&'a self, origin: &Origin, call: &'a Call) -> Request<'a> {
        let now = timestamp(SystemTime::now());
        Request { views: &*self.views, key: &self.key, peer: origin.peer, identity: &call.identity, now }
    }
}

fn is_replayed(call: &Call) -> bool {
    let procedure = PROCEDURES.get(call.procedure as usize);
    (call.program, call.version) == (v3::PROGRAM, v3::VERSION) && procedure.is_some_and(|found| found.is_replayed)
}

/// Keeps a reply for the next who asks, unless the client was told to try again.
fn keep(running: Option<Running<'_>>, status: Option<Status>, reply: &Encoder) {
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
