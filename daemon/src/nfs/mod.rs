//! NFS version 3, MOUNT and locks (NLM version 4, and as much of NSM as it needs) on one TCP port.
//!
//! A record's way: `server` accepts, `connection` reads it through `record`, `service` decodes its header
//! (`rpc`) and finds whether it ran before (`replay`), `target` opens the handle and asks the share's rules,
//! a procedure of `v3`, `mount` or `nlm` calls the engine or the table of locks, and encodes the reply.
//!
//! Invariant: nothing a client sends takes memory beyond [`Limits`], ends a thread that others need, or
//! reaches a file without the share's rules.

mod buffers;
mod caller;
mod clients;
mod connection;
mod counters;
mod datagrams;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod handle;
mod known;
mod metrics;
mod mount;
mod nlm;
mod nsm;
mod polling;
mod portmap;
mod promised;
mod record;
mod replay;
mod rpc;
mod rpcbind;
mod server;
mod service;
mod status;
mod tally;
mod target;
mod uses;
mod v3;
mod xdr;

pub use clients::{Client, ClientMount, Traffic};
pub use counters::{BUCKETS, Counters, ProcedureCounters, Reason};
pub use mount::Mount;
pub use nlm::LockSetup;
pub use rpcbind::{Registration, RpcbindError};
pub use server::{Limits, Server};
pub use tally::{Rates, Totals};
