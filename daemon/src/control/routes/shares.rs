//! The share of a dataset: who may mount it.

use cow_api::v1::{Problem, SetShare, Share};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/datasets/{dataset}/share",
        about: "Show who may mount a dataset",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Share>)),
        handle: show,
    },
    Route {
        method: Method::Patch,
        path: "/v1/datasets/{dataset}/share",
        about: "Say who may mount a dataset and those below it that say nothing themselves",
        query: &[],
        takes: Some(schema::<SetShare>),
        status: 200,
        answers: (JSON, Some(schema::<Share>)),
        handle: set,
    },
    Route {
        method: Method::Delete,
        path: "/v1/datasets/{dataset}/share",
        about: "Let a dataset inherit again who may mount it",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Share>)),
        handle: clear,
    },
];

fn show(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.dataset_share(call.name("dataset"))?))
}

fn set(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.set_share(call.name("dataset"), &call.body()?)?))
}

fn clear(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.clear_share(call.name("dataset"))?))
}
