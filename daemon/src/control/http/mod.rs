//! HTTP/1.1 as far as the API needs it: small requests, JSON answers, one stream of events. Knows nothing of cow.
//!
//! Invariant: nothing that a peer does takes more than a connection's thread and [`Limits`], or ends anything but its
//! own connection; connections are bounded.

mod connection;
mod incoming;
mod message;
mod server;
mod socket;

use std::time::Duration;

#[cfg(feature = "fuzzing")]
pub(in crate::control) use crate::control::http::incoming::Incoming;
pub use crate::control::http::incoming::Refusal;
pub use crate::control::http::message::{Body, Method, Request, Response, Transport};
pub use crate::control::http::server::{Handler, Listener, Server};
#[cfg(feature = "fuzzing")]
pub(in crate::control) use crate::control::http::socket::Socket;

/// What the server takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, over all listeners.
    pub connections: usize,
    /// Bytes of a request's first line and headers.
    pub head_bytes: usize,
    /// Headers.
    pub headers: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long a request may take to arrive, from its first byte.
    pub request_time: Duration,
    /// How long an answer may wait for the peer to take more of it.
    pub answer_time: Duration,
    /// How long a connection may be quiet between requests.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_bytes: 16 << 10,
            headers: 64,
            body_bytes: 1 << 20,
            request_time: Duration::from_secs(15),
            answer_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests;
