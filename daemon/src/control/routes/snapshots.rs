//! Snapshots, clones and holds.

use std::sync::Arc;

use cow_api::v1::{CloneSnapshot, Dataset, Destroyed, Problem, Rename, Snapshot, Snapshots, TakeSnapshots};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::control::routes::datasets::how;
use crate::service::Service;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/snapshots",
        about: "Take snapshots of datasets at one instant",
        query: &[],
        takes: Some(schema::<TakeSnapshots>),
        status: 201,
        answers: (JSON, Some(schema::<Snapshots>)),
        handle: take,
    },
    Route {
        method: Method::Get,
        path: "/v1/snapshots/{snapshot}",
        about: "Show a snapshot, and what destroying it would free",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Snapshot>)),
        handle: get,
    },
    Route {
        method: Method::Delete,
        path: "/v1/snapshots/{snapshot}",
        about: "Destroy a snapshot",
        query: &[
            Query { name: "now", kind: QueryKind::Switch, about: "Whether it cannot be undeleted (false)." },
            Query { name: "dry_run", kind: QueryKind::Switch, about: "Whether to say only what would go (false)." },
        ],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Destroyed>)),
        handle: destroy,
    },
    Route {
        method: Method::Post,
        path: "/v1/snapshots/{snapshot}/rename",
        about: "Rename a snapshot",
        query: &[],
        takes: Some(schema::<Rename>),
        status: 200,
        answers: (JSON, Some(schema::<Snapshot>)),
        handle: rename,
    },
    Route {
        method: Method::Post,
        path: "/v1/snapshots/{snapshot}/clone",
        about: "Clone a snapshot: make a writable dataset with its content",
        query: &[],
        takes: Some(schema::<CloneSnapshot>),
        status: 201,
        answers: (JSON, Some(schema::<Dataset>)),
        handle: clone,
    },
    Route {
        method: Method::Put,
        path: "/v1/snapshots/{snapshot}/holds/{tag}",
        about: "Hold a snapshot, so that it cannot be destroyed",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Snapshot>)),
        handle: hold,
    },
    Route {
        method: Method::Delete,
        path: "/v1/snapshots/{snapshot}/holds/{tag}",
        about: "Release a hold",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Snapshot>)),
        handle: release,
    },
];

fn take(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    let request: TakeSnapshots = call.body()?;
    Ok(json(201, &service.take_snapshots(&request)?))
}

fn get(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.snapshot(call.name("snapshot"))?))
}

fn destroy(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.destroy_snapshot(call.name("snapshot"), how(call)?)?))
}

fn rename(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    let rename: Rename = call.body()?;
    Ok(json(200, &service.rename_snapshot(call.name("snapshot"), &rename.to)?))
}

fn clone(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(201, &service.clone_snapshot(call.name("snapshot"), &call.body()?)?))
}

fn hold(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.hold(call.name("snapshot"), call.name("tag"))?))
}

fn release(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.release_hold(call.name("snapshot"), call.name("tag"))?))
}
