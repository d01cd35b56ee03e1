//! What SQLite says went wrong, as problems.

use cow_api::v1::{Code, Problem};
use rusqlite::{Error, ErrorCode};

/// Why `act` failed.
pub fn failed(act: &str, error: Error) -> Problem {
    let (code, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (Code::NoSpace, "give the file system of the pool's directory room"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (Code::Corrupt, "put a copy of it back; without it, hosts, sources and VDBs must be made known again")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            (Code::PermissionDenied, "cowd must own the file and its directory")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (Code::Busy, "another program has it open"),
        _ => (Code::Io, "the host's log may say more"),
    };
    Problem::new(code, format!("{act}: {error}")).with_hint(hint)
}
