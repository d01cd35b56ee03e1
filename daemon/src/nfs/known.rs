//! How a call that changes something is known again, also by the server that comes after a crash.
//!
//! The cache of replies dies with its process. So the engine keeps each call's id with the change that it made; after a crash
//! what the log tells of was done, though perhaps nobody was told, and a call of such an id is answered from what is there now
//! and not run again.
//!
//! Invariant: an id is the same only for the same client's same bytes.

use std::net::{IpAddr, SocketAddr};

use cow_storage::fs::CallId;

use crate::nfs::rpc::Call;
use crate::nfs::v3::{self, Once, PROCEDURES};
use crate::shares::Views;

/// What is known of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Its id, if the log is to have it.
    pub id: Option<CallId>,
    /// Whether it was done before a crash.
    pub was_done: bool,
}

impl Known {
    /// What is known of the call that a record brought.
    pub fn new(peer: SocketAddr, call: &Call, record: &[u8], views: &dyn Views) -> Self {
        let procedure = PROCEDURES.get(call.procedure as usize);
        if (call.program, call.version) != (v3::PROGRAM, v3::VERSION)
            || !procedure.is_some_and(|found| matches!(found.once, Once::Logged | Once::Durable))
        {
            return Self::default();
        }
        let id = id(peer, record);
        Self { id: Some(id), was_done: views.was_done(id) }
    }
}

/// The record has the call's number and all that it asks.
fn id(peer: SocketAddr, record: &[u8]) -> CallId {
    let client = match peer.ip().to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&client.octets()).update(record);
    CallId(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}
