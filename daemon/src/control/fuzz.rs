//! The decoders of HTTP requests, routes and JSON bodies, for fuzzers: all that comes before the service.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use cow_api::v1;
use cow_storage::fuzz::Target;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::call::Call;
use crate::control::http::{Incoming, Limits, Request, Socket};
use crate::control::route::{Found, Route, find};
use crate::control::routes;

pub(crate) const TARGETS: [Target; 2] =
    [Target::new("http-requests", requests_again).within(1 << 20), Target::new("api-body", body_again)];

/// More would wait in the socket for whoever reads it.
const STREAM_LEN_MAX: usize = 64 << 10;

/// Reads all requests of a connection, and finds what they lead to. Accepted is a request that a handler would be called for.
fn requests_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = bytes.get(..bytes.len().min(STREAM_LEN_MAX))?;
    let (mut client, server) = UnixStream::pair().expect("the system has sockets");
    client.write_all(bytes).expect("the socket takes some bytes");
    client.shutdown(Shutdown::Write).expect("the socket can be shut");
    let (mut socket, limits) = (Socket::Unix(server), Limits::default());
    let mut incoming = Incoming::new(&mut socket, &limits);
    let routes: Vec<&'static Route> = routes::all().collect();
    let mut is_called = false;
    while let Ok(received) = incoming.next() {
        assert!(received.request.body.len() <= limits.body_bytes, "a body is longer than any may be");
        is_called |= leads_to_call(&routes, received.request);
        if !received.keep_alive {
            break;
        }
    }
    is_called.then(|| bytes.to_vec())
}

fn leads_to_call(routes: &[&'static Route], request: Request) -> bool {
    let Found::Route(route, parameters) = find(routes, request.method, &request.path) else { return false };
    let Ok(call) = Call::new(route, parameters, request) else { return false };
    let numbers = ["limit", "wait", "id"].map(|name| call.query_number(name, 0).is_ok());
    let switches = ["snapshots", "recursive"].map(|name| call.query_switch(name, false).is_ok());
    let _ = (numbers, switches, call.number("job"), call.body::<v1::CreateDataset>());
    true
}

/// Takes a body for each of the requests that have one.
fn body_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let accepted = [
        reads::<v1::CreateDataset>(bytes),
        reads::<v1::PropertyChange>(bytes),
        reads::<v1::Rename>(bytes),
        reads::<v1::Rewind>(bytes),
        reads::<v1::TakeSnapshots>(bytes),
        reads::<v1::CloneSnapshot>(bytes),
        reads::<v1::Undelete>(bytes),
        reads::<v1::Import>(bytes),
        reads::<v1::Export>(bytes),
        reads::<v1::Verify>(bytes),
    ];
    accepted.contains(&true).then(|| bytes.to_vec())
}

/// Whether it is one; then what is written of it is read as the same.
fn reads<T: DeserializeOwned + Serialize + PartialEq>(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return false };
    let text = serde_json::to_vec(&value).expect("a request can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written is read");
    assert!(again == value, "a request is read as another than was written");
    true
}
