//! Snapshots, clones and holds.

use cow_api::v1::{CloneSnapshot, Dataset, Destroyed, Problem, Rename, Snapshot, Snapshots, TakeSnapshots};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::control::routes::datasets::how;
use crate::virtualization::{Deed, Verbs};

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

fn take(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let request: TakeSnapshots = call.body()?;
    Ok(json(201, &verbs.service.take_snapshots(&request)?))
}

fn get(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.snapshot(call.name("snapshot"))?))
}

fn destroy(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    verbs.virtualization.check_snapshot(call.name("snapshot"), Deed::Destroy)?;
    Ok(json(200, &verbs.service.destroy_snapshot(call.name("snapshot"), how(call)?)?))
}

fn rename(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let rename: Rename = call.body()?;
    verbs.virtualization.check_snapshot(call.name("snapshot"), Deed::Rename)?;
    Ok(json(200, &verbs.service.rename_snapshot(call.name("snapshot"), &rename.to)?))
}

fn clone(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(201, &verbs.service.clone_snapshot(call.name("snapshot"), &call.body()?)?))
}

fn hold(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.hold(call.name("snapshot"), call.name("tag"))?))
}

fn release(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.release_hold(call.name("snapshot"), call.name("tag"))?))
}
