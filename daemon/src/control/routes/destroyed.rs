//! Destroying several at once, and what was destroyed and can come back.

use cow_api::v1::{Destroy, DestroyedEach, Listing, Problem, Undelete, Undeleted};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::service::How;
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/destroy",
        about: "Destroy datasets with their snapshots, and snapshots, in one step",
        query: &[],
        takes: Some(schema::<Destroy>),
        status: 200,
        answers: (JSON, Some(schema::<DestroyedEach>)),
        handle: destroy,
    },
    Route {
        method: Method::Get,
        path: "/v1/destroyed",
        about: "List what was destroyed and can be undeleted",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Listing>)),
        handle: list,
    },
    Route {
        method: Method::Post,
        path: "/v1/destroyed/{name}/undelete",
        about: "Undelete a dataset or snapshot",
        query: &[],
        takes: Some(schema::<Undelete>),
        status: 200,
        answers: (JSON, Some(schema::<Undeleted>)),
        handle: undelete,
    },
];

fn destroy(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let Destroy { names, recursive, now, dry_run } = call.body()?;
    verbs.virtualization.check_destroy(&names)?;
    let how = How { recursive, at_once: now, dry_run };
    Ok(json(200, &verbs.service.destroy_each(&names, how)?))
}

fn list(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.destroyed()?))
}

fn undelete(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.undelete(call.name("name"), &call.body()?)?))
}
