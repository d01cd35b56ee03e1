//! dSources and VDBs, what is done with them, and lasting bad states.

use cow_api::v1::{
    Discovered, Faults, Job, LinkSource, Problem, Provision, Source, SourceOrder, SourceStatus, Sources, Timeline,
};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/sources/link",
        about: "Begin to link a dSource and to sync it for the first time",
        query: &[],
        takes: Some(schema::<LinkSource>),
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: |verbs, call| Ok(json(202, &verbs.virtualization.link(&call.secret_body()?)?)),
    },
    Route {
        method: Method::Post,
        path: "/v1/sources/provision",
        about: "Begin to provision a VDB, of a snapshot or an empty one",
        query: &[],
        takes: Some(schema::<Provision>),
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: |verbs, call| Ok(json(202, &verbs.virtualization.provision(&call.secret_body()?)?)),
    },
    Route {
        method: Method::Get,
        path: "/v1/sources",
        about: "List dSources and VDBs",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Sources>)),
        handle: |verbs, _| Ok(json(200, &verbs.virtualization.sources()?)),
    },
    Route {
        method: Method::Get,
        path: "/v1/sources/{source}",
        about: "Show a dSource or VDB",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Source>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.source(call.name("source"))?)),
    },
    Route {
        method: Method::Post,
        path: "/v1/sources/{source}/orders",
        about: "Begin to do something with a dSource or VDB",
        query: &[],
        takes: Some(schema::<SourceOrder>),
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: order,
    },
    Route {
        method: Method::Get,
        path: "/v1/sources/{source}/status",
        about: "Ask the plugin how a dSource or VDB is",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<SourceStatus>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.source_status(call.name("source"))?)),
    },
    Route {
        method: Method::Get,
        path: "/v1/sources/{source}/timeline",
        about: "Show the timeflows and snapshots of a dSource or VDB",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Timeline>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.timeline(call.name("source"))?)),
    },
    Route {
        method: Method::Get,
        path: "/v1/environments/{environment}/discovered",
        about: "List what plugins have found on an environment",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Discovered>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.discovered(call.name("environment"))?)),
    },
    Route {
        method: Method::Get,
        path: "/v1/faults",
        about: "List lasting bad states",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Faults>)),
        handle: |verbs, _| Ok(json(200, &verbs.virtualization.faults()?)),
    },
];

fn order(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let order: SourceOrder = call.secret_body()?;
    Ok(json(202, &verbs.virtualization.order(call.name("source"), order)?))
}
