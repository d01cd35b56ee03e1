//! Locks of bytes of files.

use std::sync::Arc;

use cow_api::v1::{Locks, Problem, ReleasedLocks};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::service::Service;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/locks",
        about: "List the locks that clients hold and wait for",
        query: &[Query { name: "dataset", kind: QueryKind::Text, about: "Only those of this dataset." }],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Locks>)),
        handle: list,
    },
    Route {
        method: Method::Delete,
        path: "/v1/locks/{client}",
        about: "Take all locks of a client, by its address or its name",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<ReleasedLocks>)),
        handle: release,
    },
];

fn list(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.locks(call.query("dataset"))?))
}

fn release(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.release_locks(call.name("client"))?))
}
