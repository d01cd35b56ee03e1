//! Space.

use std::sync::Arc;

use cow_api::v1::{Problem, Space};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::service::Service;

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

fn space(service: &Arc<Service>, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &service.space(call.query("under"))?))
}
