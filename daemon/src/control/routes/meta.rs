//! The daemon itself: status, shares, clients, events, metrics, and this API's own document.

use cow_api::v1::{Clients, Event, Problem, Shares, Status};

use crate::control::call::Call;
use crate::control::events;
use crate::control::http::{Method, Response};
use crate::control::openapi;
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::control::routes;
use crate::metrics;
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/status",
        about: "Tell how the daemon is",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Status>)),
        handle: status,
    },
    Route {
        method: Method::Get,
        path: "/v1/shares",
        about: "List what NFS clients can mount, and who may",
        query: &[Query { name: "under", kind: QueryKind::Text, about: "Only this dataset and those below it." }],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Shares>)),
        handle: shares,
    },
    Route {
        method: Method::Get,
        path: "/v1/clients",
        about: "List NFS clients, what each has mounted, and how much it does",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Clients>)),
        handle: clients,
    },
    Route {
        method: Method::Get,
        path: "/v1/events",
        about: "Stream what happens as server-sent events, after Last-Event-ID or from now on",
        query: &[],
        takes: None,
        status: 200,
        answers: ("text/event-stream", Some(schema::<Event>)),
        handle: stream,
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        about: "Print the metrics as Prometheus reads them",
        query: &[],
        takes: None,
        status: 200,
        answers: (metrics::MEDIA_TYPE, None),
        handle: metrics_page,
    },
    Route {
        method: Method::Get,
        path: "/v1/openapi.json",
        about: "Describe this API",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, None),
        handle: document,
    },
];

fn status(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.status()?))
}

fn shares(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.shares(call.query("under"))?))
}

fn clients(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.clients()))
}

fn stream(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(events::stream(&verbs.service, call.last_event))
}

fn metrics_page(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(Response::new(200, metrics::MEDIA_TYPE, verbs.service.metrics().page().into_text()))
}

fn document(_: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &openapi::document(&routes::all().collect::<Vec<_>>())))
}
