//! Plugins, which know a kind of data.

use std::path::Path;

use cow_api::v1::{Code, InstallPlugin, Plugin, PluginLanguage, PluginSchema, Plugins, Problem, SetUpPlugins};

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::control::route::{JSON, Route, json, schema};
use crate::virtualization::Verbs;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/plugins",
        about: "List the plugins that are installed",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Plugins>)),
        handle: list,
    },
    Route {
        method: Method::Post,
        path: "/v1/plugins",
        about: "Install a plugin from a source folder or an artifact on cowd's host",
        query: &[],
        takes: Some(schema::<InstallPlugin>),
        status: 201,
        answers: (JSON, Some(schema::<Plugin>)),
        handle: install,
    },
    Route {
        method: Method::Post,
        path: "/v1/plugins/upgrade",
        about: "Put a newer build in the place of a plugin, and migrate the data of what uses it",
        query: &[],
        takes: Some(schema::<InstallPlugin>),
        status: 200,
        answers: (JSON, Some(schema::<Plugin>)),
        handle: upgrade,
    },
    Route {
        method: Method::Post,
        path: "/v1/plugins/setup",
        about: "Fetch the SDK that plugins of a language need",
        query: &[],
        takes: Some(schema::<SetUpPlugins>),
        status: 200,
        answers: (JSON, Some(schema::<PluginLanguage>)),
        handle: set_up,
    },
    Route {
        method: Method::Get,
        path: "/v1/plugins/{plugin}",
        about: "Show a plugin, by its name or UUID",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Plugin>)),
        handle: show,
    },
    Route {
        method: Method::Delete,
        path: "/v1/plugins/{plugin}",
        about: "Remove a plugin that nothing uses",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Plugin>)),
        handle: remove,
    },
    Route {
        method: Method::Get,
        path: "/v1/plugins/{plugin}/schemas/{kind}",
        about: "Show the schema of a plugin's parameters, and a template to fill in",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<PluginSchema>)),
        handle: schema_of,
    },
];

fn list(verbs: &Verbs, _: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.plugins.list()?))
}

fn install(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let from: InstallPlugin = call.body()?;
    Ok(json(201, &verbs.plugins.install(Path::new(&from.path))?))
}

fn upgrade(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let from: InstallPlugin = call.body()?;
    Ok(json(200, &verbs.plugins.upgrade(Path::new(&from.path))?))
}

fn set_up(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let wanted: SetUpPlugins = call.body()?;
    let language = wanted.language.parse().map_err(|why: String| Problem::new(Code::InvalidRequest, why))?;
    Ok(json(200, &verbs.plugins.set_up(language, wanted.wheels.as_deref().map(Path::new))?))
}

fn show(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.plugins.show(call.name("plugin"))?))
}

fn remove(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    Ok(json(200, &verbs.plugins.remove(call.name("plugin"))?))
}

fn schema_of(verbs: &Verbs, call: &Call) -> Result<Response, Problem> {
    let kind = call.name("kind").parse().map_err(|why: String| Problem::new(Code::InvalidRequest, why))?;
    Ok(json(200, &verbs.plugins.schema(call.name("plugin"), kind)?))
}
