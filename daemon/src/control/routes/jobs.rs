//! Jobs, and what begins them: imports, exports, verifications.

use std::time::Duration;

use cow_api::v1::{Export, Import, Job, JobLog, Jobs, Problem, Verify};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::virtualization::Verbs;

/// Longest that a call waits for a job, in seconds.
const WAIT_SECONDS_MAX: u64 = 30;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/imports",
        about: "Begin to read a directory of the host into a dataset",
        query: &[],
        takes: Some(schema::<Import>),
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: import,
    },
    Route {
        method: Method::Post,
        path: "/v1/exports",
        about: "Begin to write a dataset or snapshot out as plain files",
        query: &[],
        takes: Some(schema::<Export>),
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: export,
    },
    Route {
        method: Method::Post,
        path: "/v1/verifications",
        about: "Begin to read and check a dataset, a snapshot or the whole pool",
        query: &[],
        takes: Some(schema::<Verify>),
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: verify,
    },
    Route {
        method: Method::Get,
        path: "/v1/jobs",
        about: "List jobs, the newest first",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Jobs>)),
        handle: list,
    },
    Route {
        method: Method::Get,
        path: "/v1/jobs/{job}",
        about: "Show a job",
        query: &[Query {
            name: "wait",
            kind: QueryKind::Number,
            about: "Seconds to wait for its end before answering, at most 30 (0).",
        }],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Job>)),
        handle: get,
    },
    Route {
        method: Method::Get,
        path: "/v1/jobs/{job}/log",
        about: "Show what happened in a job",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<JobLog>)),
        handle: log,
    },
    Route {
        method: Method::Delete,
        path: "/v1/jobs/{job}",
        about: "Cancel a job",
        query: &[],
        takes: None,
        status: 202,
        answers: (JSON, Some(schema::<Job>)),
        handle: cancel,
    },
];

fn import(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let request: Import = call.body()?;
    Ok(json(202, &verbs.service.import(&request)?))
}

fn export(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let request: Export = call.body()?;
    Ok(json(202, &verbs.service.export(&request)?))
}

fn verify(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let request: Verify = call.body()?;
    Ok(json(202, &verbs.service.verify(&request)?))
}

fn list(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &Jobs { jobs: verbs.service.jobs().list() }))
}

fn get(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let patience = Duration::from_secs(call.query_number("wait", 0)?.min(WAIT_SECONDS_MAX));
    Ok(json(200, &verbs.service.jobs().wait(call.number("job")?, patience)?))
}

fn log(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.jobs().log(call.number("job")?)?))
}

fn cancel(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(202, &verbs.service.jobs().cancel(call.number("job")?)?))
}
