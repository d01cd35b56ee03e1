//! Datasets.

use cow_api::v1::{CreateDataset, Dataset, Destroyed, Diff, Listing, Problem, PropertyChange, Rename, Rewind, Rewound};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::service::How;
use crate::virtualization::{Deed, Verbs};

/// Differences in one answer, where no limit is given.
const DIFFERENCES: u64 = 100_000;
/// The largest limit.
const DIFFERENCES_MAX: u64 = 1_000_000;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/datasets",
        about: "List datasets and snapshots",
        query: &[
            Query { name: "under", kind: QueryKind::Text, about: "Only this dataset and those below it." },
            Query { name: "snapshots", kind: QueryKind::Switch, about: "Whether snapshots are listed too (true)." },
        ],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Listing>)),
        handle: list,
    },
    Route {
        method: Method::Post,
        path: "/v1/datasets",
        about: "Create a dataset",
        query: &[],
        takes: Some(schema::<CreateDataset>),
        status: 201,
        answers: (JSON, Some(schema::<Dataset>)),
        handle: create,
    },
    Route {
        method: Method::Get,
        path: "/v1/datasets/{dataset}",
        about: "Show a dataset, and what destroying it would free",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Dataset>)),
        handle: get,
    },
    Route {
        method: Method::Patch,
        path: "/v1/datasets/{dataset}",
        about: "Change a dataset's properties",
        query: &[],
        takes: Some(schema::<PropertyChange>),
        status: 200,
        answers: (JSON, Some(schema::<Dataset>)),
        handle: set,
    },
    Route {
        method: Method::Delete,
        path: "/v1/datasets/{dataset}",
        about: "Destroy a dataset with its snapshots",
        query: &[
            Query { name: "recursive", kind: QueryKind::Switch, about: "Whether datasets below go too (false)." },
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
        path: "/v1/datasets/{dataset}/rename",
        about: "Rename a dataset and all below it",
        query: &[],
        takes: Some(schema::<Rename>),
        status: 200,
        answers: (JSON, Some(schema::<Dataset>)),
        handle: rename,
    },
    Route {
        method: Method::Post,
        path: "/v1/datasets/{dataset}/rewind",
        about: "Give a dataset a snapshot's content again, keeping what it had as a snapshot",
        query: &[],
        takes: Some(schema::<Rewind>),
        status: 200,
        answers: (JSON, Some(schema::<Rewound>)),
        handle: rewind,
    },
    Route {
        method: Method::Get,
        path: "/v1/diff",
        about: "List the paths that differ between two snapshots or datasets",
        query: &[
            Query { name: "older", kind: QueryKind::RequiredText, about: "A snapshot or dataset." },
            Query {
                name: "newer",
                kind: QueryKind::RequiredText,
                about: "One of the same timeline, or a clone of it.",
            },
            Query { name: "limit", kind: QueryKind::Number, about: "Most differences to list (100000)." },
        ],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Diff>)),
        handle: diff,
    },
];

/// How a call wants something destroyed.
pub fn how(call: &Call) -> Result<How, Problem> {
    Ok(How {
        recursive: call.query_switch("recursive", false)?,
        at_once: call.query_switch("now", false)?,
        dry_run: call.query_switch("dry_run", false)?,
    })
}

fn list(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.list(call.query("under"), call.query_switch("snapshots", true)?)?))
}

fn create(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(201, &verbs.service.create_dataset(&call.body()?)?))
}

fn get(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.dataset(call.name("dataset"))?))
}

fn set(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.service.set_properties(call.name("dataset"), &call.body()?)?))
}

fn destroy(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    verbs.virtualization.check_dataset(call.name("dataset"), Deed::Destroy)?;
    Ok(json(200, &verbs.service.destroy_dataset(call.name("dataset"), how(call)?)?))
}

fn rename(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let rename: Rename = call.body()?;
    verbs.virtualization.check_dataset(call.name("dataset"), Deed::Rename)?;
    Ok(json(200, &verbs.service.rename_dataset(call.name("dataset"), &rename.to)?))
}

fn rewind(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    verbs.virtualization.check_dataset(call.name("dataset"), Deed::Rewind)?;
    Ok(json(200, &verbs.service.rewind(call.name("dataset"), &call.body()?)?))
}

fn diff(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let limit = call.query_number("limit", DIFFERENCES)?.min(DIFFERENCES_MAX);
    Ok(json(200, &verbs.service.diff(call.required("older")?, call.required("newer")?, limit as usize)?))
}
