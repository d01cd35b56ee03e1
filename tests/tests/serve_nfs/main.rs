//! The NFS server over the model, by clients: ours, others', and hostile ones.

mod differential;
mod foreign;
mod hostile;
mod procedures;
mod replay;
mod views;

use cow_tests::nfs_client::{Failure, Outcome};

/// NFS's statuses.
mod status {
    pub const PERMISSION: u32 = 1;
    pub const NO_ENTRY: u32 = 2;
    pub const ACCESS: u32 = 13;
    pub const EXISTS: u32 = 17;
    pub const CROSS_DEVICE: u32 = 18;
    pub const NOT_DIRECTORY: u32 = 20;
    pub const IS_DIRECTORY: u32 = 21;
    pub const INVALID: u32 = 22;
    pub const READ_ONLY: u32 = 30;
    pub const NAME_TOO_LONG: u32 = 63;
    pub const QUOTA: u32 = 69;
    pub const STALE: u32 = 70;
    pub const BAD_HANDLE: u32 = 10_001;
    pub const NOT_SYNCHRONIZED: u32 = 10_002;
    pub const BAD_COOKIE: u32 = 10_003;
    pub const TOO_SMALL: u32 = 10_005;
    pub const SERVER_FAULT: u32 = 10_006;
    pub const TRY_LATER: u32 = 10_008;
}

/// The status that a call failed with.
#[track_caller]
fn failed<T: std::fmt::Debug>(outcome: Outcome<T>) -> u32 {
    match outcome {
        Err(Failure::Status(status)) => status,
        other => panic!("a status was expected, not {other:?}"),
    }
}
