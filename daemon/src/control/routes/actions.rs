//! Who asked for what.

use cow_api::time::Time;
use cow_api::v1::{Actions, Code, Problem};

use crate::actions::Wanted;
use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[Route {
    method: Method::Get,
    path: "/v1/actions",
    about: "List requests that were to change something, the newest first",
    query: &[
        Query { name: "who", kind: QueryKind::Text, about: "Only of those in whose name this is." },
        Query { name: "about", kind: QueryKind::Text, about: "Only with this in what was asked, or in a name given." },
        Query { name: "job", kind: QueryKind::Number, about: "Only what began this job." },
        Query { name: "since", kind: QueryKind::Text, about: "Only since this moment, as in 2026-03-01T09:30:00Z." },
        Query { name: "failed", kind: QueryKind::Switch, about: "Only what was not done (false)." },
        Query { name: "count", kind: QueryKind::Number, about: "At most so many (100)." },
    ],
    takes: None,
    status: 200,
    answers: (JSON, Some(schema::<Actions>)),
    handle: list,
}];

fn list(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let wrong = |error: cow_api::time::ParseTimeError| Problem::new(Code::InvalidRequest, error.to_string());
    let wanted = Wanted {
        who: call.query("who").map(str::to_owned),
        about: call.query("about").map(str::to_owned),
        job: call.query("job").map(|_| call.query_number("job", 0)).transpose()?,
        since: call.query("since").map(str::parse::<Time>).transpose().map_err(wrong)?,
        is_failed: call.query_switch("failed", false)?,
        count: usize::try_from(call.query_number("count", 100)?).unwrap_or(usize::MAX),
    };
    let mut found = verbs.actions.list(&wanted)?;
    for action in &mut found.actions {
        let job = action.job.and_then(|id| verbs.service.jobs().get(id).ok());
        action.job_state = job.map(|job| job.progress.state);
    }
    Ok(json(200, &found))
}
