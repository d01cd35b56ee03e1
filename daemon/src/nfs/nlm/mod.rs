//! NLM version 4: byte-range locks for NFSv3's clients, on the port of NFS.
//!
//! A client's locks belong to its address and the name that it gives, not to a connection. They end when it gives them back,
//! when its status monitor says that it has restarted (`nsm`), when the dataset is no longer shared, or when an administrator
//! releases them.

mod codec;
mod granting;
mod ledger;
mod locking;
mod notifying;
mod procedures;

#[cfg(feature = "fuzzing")]
pub use codec::decode_stat;
pub use locking::{LockSetup, Locking};
pub use procedures::{Call, run};

/// The program's number.
pub const PROGRAM: u32 = 100_021;
/// The program's version.
pub const VERSION: u32 = 4;
/// The names of its procedures, by number; those without are not served.
pub const PROCEDURES: [&str; 24] = [
    "null", "test", "lock", "cancel", "unlock", "granted", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
    "share", "unshare", "nm_lock", "free_all",
];
