//! What went wrong, as a word that stays the same for ever.
//!
//! Invariant: a code's text, HTTP status and exit code never change; new codes may come, and readers take
//! one that they do not know as [`Code::Unknown`].

use serde::{Deserialize, Serialize};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request makes no sense: its JSON, a field, or a value outside what is allowed.
    InvalidRequest,
    /// A name that no dataset, snapshot or hold can have.
    InvalidName,
    /// No such path in the API: the client may be newer than the daemon.
    NoSuchRoute,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The request is larger than the daemon takes.
    RequestTooLarge,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The bearer token is missing or wrong.
    Unauthorized,
    /// The caller may not do this.
    PermissionDenied,
    /// The dataset or snapshot takes no writes.
    ReadOnly,
    /// No such dataset, snapshot, hold, job or host directory.
    NotFound,
    /// The name is taken.
    Exists,
    /// The state does not allow it, as with children that were not asked for.
    Conflict,
    /// Something under way excludes it: try again later.
    Busy,
    /// A hold keeps the snapshot.
    Held,
    /// The pool has no room left.
    NoSpace,
    /// The dataset's quota is used up.
    Quota,
    /// The daemon is starting, stopping or has too many requests: try again.
    Unavailable,
    /// The daemon cannot be reached. Only clients say so.
    Unreachable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// Reading or writing a disk failed.
    Io,
    /// An earlier write failed, so the pool takes no more: restart the daemon.
    Poisoned,
    /// This cannot be done for this kind of object, or not by this version.
    Unsupported,
    /// Another host cannot be reached, or did not do what was asked of it.
    HostFailed,
    /// The job was cancelled.
    Cancelled,
    /// A plugin told what is wrong, or is wrong itself.
    PluginFailed,
    /// A mistake in the daemon.
    Internal,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A code with its text, HTTP status, exit code and title.
type Row = (Code, &'static str, u16, u8, &'static str);

/// All codes.
const TABLE: [Row; 27] = [
    (Code::InvalidRequest, "invalid_request", 400, 2, "The request makes no sense"),
    (Code::InvalidName, "invalid_name", 400, 2, "The name is not valid"),
    (Code::NoSuchRoute, "no_such_route", 404, 1, "The API has no such path"),
    (Code::MethodNotAllowed, "method_not_allowed", 405, 1, "The path does not take this method"),
    (Code::RequestTooLarge, "request_too_large", 413, 1, "The request is too large"),
    (Code::RequestTimeout, "request_timeout", 408, 1, "The request did not arrive in time"),
    (Code::Unauthorized, "unauthorized", 401, 7, "The token is missing or wrong"),
    (Code::PermissionDenied, "permission_denied", 403, 7, "Permission denied"),
    (Code::ReadOnly, "read_only", 403, 7, "It is read-only"),
    (Code::NotFound, "not_found", 404, 4, "Not found"),
    (Code::Exists, "exists", 409, 5, "The name is taken"),
    (Code::Conflict, "conflict", 409, 5, "The state does not allow it"),
    (Code::Busy, "busy", 409, 6, "Busy"),
    (Code::Held, "held", 409, 6, "The snapshot is held"),
    (Code::NoSpace, "no_space", 507, 8, "The pool is full"),
    (Code::Quota, "quota", 507, 8, "The quota is used up"),
    (Code::Unavailable, "unavailable", 503, 6, "The daemon cannot take this now"),
    (Code::Unreachable, "unreachable", 503, 9, "The daemon cannot be reached"),
    (Code::Corrupt, "corrupt", 500, 10, "Stored bytes are damaged"),
    (Code::Io, "io", 500, 1, "Input or output failed"),
    (Code::Poisoned, "poisoned", 503, 1, "The pool must be reopened"),
    (Code::Unsupported, "unsupported", 422, 1, "Not supported"),
    (Code::HostFailed, "host_failed", 502, 1, "A host did not do what was asked"),
    (Code::Cancelled, "cancelled", 409, 1, "Cancelled"),
    (Code::PluginFailed, "plugin_failed", 422, 1, "The plugin failed"),
    (Code::Internal, "internal", 500, 1, "A mistake in the daemon"),
    (Code::Unknown, "unknown", 500, 1, "Unknown"),
];

impl Code {
    /// Every code.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|row| row.0)
    }

    /// Its text, as in JSON.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status that it is answered with.
    pub fn status(self) -> u16 {
        self.row().2
    }

    /// What a command that met it exits with.
    pub fn exit_code(self) -> u8 {
        self.row().3
    }

    /// What it says to people.
    pub fn title(self) -> &'static str {
        self.row().4
    }

    fn row(self) -> Row {
        TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_codes_and_says_what_json_says() {
        for (at, (code, text, status, exit_code, _)) in TABLE.into_iter().enumerate() {
            assert_eq!(code as usize, at);
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Code>(&format!("\"{text}\"")).unwrap(), code);
            assert!((400..600).contains(&status) && (1..=10).contains(&exit_code), "{text}");
        }
        assert_eq!(serde_json::from_str::<Code>("\"of_tomorrow\"").unwrap(), Code::Unknown);
    }
}
