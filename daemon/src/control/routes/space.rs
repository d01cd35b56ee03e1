//! Space.

use cow_api::v1::{Problem, Space};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[Route {
    method: Method::Get,
    path: "/v1/space",
    about: "Tell where the space went",
    query: &[Query { name: "under", kind: QueryKind::Text, about: "Only this dataset and those below it." }],
    takes: None,
    status: 200,
    answers: (JSON, Some(schema::<Space>)),
    handle: space,
}];

fn space(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.space(call.query("under"))?))
}
