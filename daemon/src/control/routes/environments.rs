//! Hosts that data is taken from and mounted on.

use cow_api::v1::{Environment, Environments, NewEnvironment, NewEnvironmentUser, Problem};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/environments",
        about: "List the hosts that are known",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Environments>)),
        handle: list,
    },
    Route {
        method: Method::Post,
        path: "/v1/environments",
        about: "Make a host known: pin its key, come in, look around and bring the toolkit",
        query: &[],
        takes: Some(schema::<NewEnvironment>),
        status: 201,
        answers: (JSON, Some(schema::<Environment>)),
        handle: add,
    },
    Route {
        method: Method::Get,
        path: "/v1/environments/{environment}",
        about: "Show a host that is known",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Environment>)),
        handle: show,
    },
    Route {
        method: Method::Delete,
        path: "/v1/environments/{environment}",
        about: "Forget a host that nothing uses",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Environment>)),
        handle: remove,
    },
    Route {
        method: Method::Post,
        path: "/v1/environments/{environment}/refresh",
        about: "Look at a host again, and bring the toolkit up to date",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Environment>)),
        handle: refresh,
    },
    Route {
        method: Method::Post,
        path: "/v1/environments/{environment}/accept-key",
        about: "Pin the key that a host shows now",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Environment>)),
        handle: accept_key,
    },
    Route {
        method: Method::Post,
        path: "/v1/environments/{environment}/users",
        about: "Make a user of a host known, or let one come in otherwise",
        query: &[],
        takes: Some(schema::<NewEnvironmentUser>),
        status: 200,
        answers: (JSON, Some(schema::<Environment>)),
        handle: add_user,
    },
    Route {
        method: Method::Delete,
        path: "/v1/environments/{environment}/users/{user}",
        about: "Forget a user of a host",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Environment>)),
        handle: remove_user,
    },
];

fn list(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.environments.list()?))
}

fn add(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let new: NewEnvironment = call.secret_body()?;
    Ok(json(201, &verbs.environments.add(&new)?))
}

fn show(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.environments.show(call.name("environment"))?))
}

fn remove(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.environments.remove(call.name("environment"))?))
}

fn refresh(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.environments.refresh(call.name("environment"))?))
}

fn accept_key(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.environments.accept_key(call.name("environment"))?))
}

fn add_user(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let new: NewEnvironmentUser = call.secret_body()?;
    Ok(json(200, &verbs.environments.add_user(call.name("environment"), &new)?))
}

fn remove_user(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.environments.remove_user(call.name("environment"), call.name("user"))?))
}
