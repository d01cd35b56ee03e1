//! Requests, responses and error codes of the control API, as plain data; no I/O.
//!
//! One folder a version. Within a version, fields and values are only added: readers ignore what they do not
//! know, and requests with unknown fields are refused, so that a typo is never taken for a default.

#[cfg(feature = "schema")]
mod schema;
pub mod size;
pub mod time;

pub mod v1;
