//! From the engine's errors to the API's problems, with what to do about each.

use cow_api::v1::{Code, Problem};
use cow_storage::error::{Error, ErrorKind};

use crate::logging::Chain;

/// The code of an error's kind.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound | ErrorKind::Stale => Code::NotFound,
        ErrorKind::Exists => Code::Exists,
        ErrorKind::NotEmpty | ErrorKind::Conflict => Code::Conflict,
        ErrorKind::NameTooLong => Code::InvalidName,
        ErrorKind::NotDirectory | ErrorKind::IsDirectory | ErrorKind::Invalid => Code::InvalidRequest,
        ErrorKind::TooManyLinks | ErrorKind::TooLarge | ErrorKind::Unsupported | ErrorKind::UnknownVersion => {
            Code::Unsupported
        }
        ErrorKind::Access | ErrorKind::Permission => Code::PermissionDenied,
        ErrorKind::ReadOnly => Code::ReadOnly,
        ErrorKind::NoSpace => Code::NoSpace,
        ErrorKind::Quota => Code::Quota,
        ErrorKind::Busy => Code::Busy,
        ErrorKind::Corrupt => Code::Corrupt,
        ErrorKind::Io => Code::Io,
        ErrorKind::Poisoned => Code::Poisoned,
    }
}

/// What helps against a code, whatever was being done.
fn hint(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::NotFound => "'cowctl list' shows what there is",
        Code::Busy | Code::Unavailable => "try again in a moment",
        Code::NoSpace => "give the host's file system room, or destroy what is not needed with 'cowctl destroy --now'",
        Code::Quota => "raise it with 'cowctl set quota=SIZE DATASET'",
        Code::ReadOnly => "'cowctl set readonly=off DATASET' lets it be changed; snapshots never can be",
        Code::Corrupt => "'cowctl verify' tells what else is hit; restore it from a copy elsewhere",
        Code::Poisoned => "cowd reopens the pool by itself; its log says what the disk answered",
        Code::Io => "the daemon's log and the host's tell more",
        _ => return None,
    })
}

/// The problem that an error of the engine is.
pub fn problem(error: Error) -> Problem {
    of(code(error.kind()), &error)
}

/// A problem of that code, with all of an error's causes.
pub fn of(code: Code, error: &dyn std::error::Error) -> Problem {
    let problem = Problem::new(code, Chain(error).to_string());
    match hint(code) {
        Some(hint) => problem.with_hint(hint),
        None => problem,
    }
}
