//! Calls that were run and whose answers wait until what they changed is durable, so that many share a flush and none keeps
//! others from running.
//!
//! Invariant: a reply that says that a change was made goes out, and is kept for who asks again, only after the change is
//! durable. When that fails, the reply says so instead.

use std::sync::Arc;
use std::time::Instant;

use cow_storage::fs::FileSystem;

use crate::nfs::replay::Running;
use crate::nfs::rpc::{self, Accepted, Call};
use crate::nfs::service::{Service, keep};
use crate::nfs::status::Status;
use crate::nfs::v3::{self, Once, PROCEDURES};
use crate::nfs::xdr::Encoder;

/// A call that was run, and its reply, if what it changed becomes durable.
pub struct Promised<'a> {
    pub(super) reply: Encoder,
    pub(super) running: Option<Running<'a>>,
    /// Has the change.
    pub(super) unsettled: Arc<dyn FileSystem>,
    pub(super) xid: u32,
    pub(super) procedure: usize,
    pub(super) began: Instant,
}

/// Whether a call can be run before what it changes is durable.
pub fn is_promised(call: &Call) -> bool {
    let procedure = PROCEDURES.get(call.procedure as usize);
    (call.program, call.version) == (v3::PROGRAM, v3::VERSION)
        && procedure.is_some_and(|procedure| procedure.once == Once::Logged)
}

impl Service {
    /// Waits until all these calls' changes are durable, and returns their replies.
    pub fn settle(&self, promised: Vec<Promised<'_>>) -> Vec<Encoder> {
        let mut settled: Vec<(Arc<dyn FileSystem>, Status)> = Vec::new();
        let mut status_of = |unsettled: &Arc<dyn FileSystem>| {
            let known = settled.iter().find(|(known, _)| Arc::ptr_eq(known, unsettled));
            known.map(|(_, status)| *status).unwrap_or_else(|| {
                let status = unsettled.settle().map_or_else(Status::from, |()| Status::OK);
                settled.push((unsettled.clone(), status));
                status
            })
        };
        let kept = promised.into_iter().map(|call| {
            let status = status_of(&call.unsettled);
            self.keep_promise(call, status)
        });
        kept.collect()
    }

    fn keep_promise(&self, call: Promised<'_>, status: Status) -> Encoder {
        let Promised { mut reply, running, xid, procedure, began, .. } = call;
        if status != Status::OK {
            rpc::encode_accepted(&mut reply, xid, Accepted::Success);
            v3::encode_failure(&PROCEDURES[procedure], status, &mut reply);
            rpc::seal(&mut reply);
        }
        self.counting.nfs_call(procedure, began.elapsed(), status != Status::OK);
        keep(running, Some(status), &reply);
        reply
    }
}
