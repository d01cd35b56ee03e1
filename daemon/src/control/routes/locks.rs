//! Locks of bytes of files.

use cow_api::v1::{Locks, Problem, ReleasedLocks};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::virtualization::Verbs;

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

fn list(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.locks(call.query("dataset"))?))
}

fn release(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.release_locks(call.name("client"))?))
}
