//! What was destroyed and can come back.

use cow_api::v1::{Listing, Problem, Undelete, Undeleted};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
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

fn list(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.destroyed()?))
}

fn undelete(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.undelete(call.name("name"), &call.body()?)?))
}
