//! Scrubbing.

use cow_api::v1::{Problem, Scrub, StartScrub};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/scrub",
        about: "Tell how far scrubbing is, and what it found",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Scrub>)),
        handle: show,
    },
    Route {
        method: Method::Post,
        path: "/v1/scrub/start",
        about: "Begin to scrub, or go on where it was paused",
        query: &[],
        takes: Some(schema::<StartScrub>),
        status: 200,
        answers: (JSON, Some(schema::<Scrub>)),
        handle: start,
    },
    Route {
        method: Method::Post,
        path: "/v1/scrub/pause",
        about: "Have scrubbing wait until it is started again",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Scrub>)),
        handle: pause,
    },
    Route {
        method: Method::Post,
        path: "/v1/scrub/cancel",
        about: "End the scrub that runs or is paused",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Scrub>)),
        handle: cancel,
    },
];

fn show(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.scrub()))
}

fn start(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let request: StartScrub = call.body()?;
    Ok(json(200, &verbs.service.start_scrub(&request)?))
}

fn pause(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.pause_scrub()?))
}

fn cancel(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.cancel_scrub()?))
}
