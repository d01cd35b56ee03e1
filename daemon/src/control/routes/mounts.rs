//! Mounts on the daemon's host.

use cow_api::v1::{Mount, Mounts, NewMount, Problem};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/mounts",
        about: "List what is mounted on the daemon's host",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Mounts>)),
        handle: list,
    },
    Route {
        method: Method::Post,
        path: "/v1/mounts",
        about: "Mount a dataset or snapshot on the daemon's host, now and whenever the daemon starts",
        query: &[],
        takes: Some(schema::<NewMount>),
        status: 201,
        answers: (JSON, Some(schema::<Mount>)),
        handle: mount,
    },
    Route {
        method: Method::Delete,
        path: "/v1/mounts/{mount}",
        about: "Unmount by path, or all mounts of a dataset or snapshot by its name",
        query: &[Query {
            name: "force",
            kind: QueryKind::Switch,
            about: "Whether programs that use it get errors instead of keeping it (false).",
        }],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Mounts>)),
        handle: unmount,
    },
];

fn list(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.mounts()))
}

fn mount(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let order: NewMount = call.body()?;
    Ok(json(201, &verbs.service.mount(&order)?))
}

fn unmount(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.unmount(call.name("mount"), call.query_switch("force", false)?)?))
}
