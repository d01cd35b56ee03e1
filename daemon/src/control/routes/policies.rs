//! Policies.

use cow_api::v1::{NewPolicy, Policies, Policy, PolicyChange, PolicyRun};

use crate::control::http::Method;
use crate::control::route::{JSON, Query, QueryKind, Route, json, schema};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/policies",
        about: "List policies",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Policies>)),
        handle: |verbs, _| Ok(json(200, &verbs.virtualization.policies()?)),
    },
    Route {
        method: Method::Post,
        path: "/v1/policies",
        about: "Have something done with dSources or VDBs again and again",
        query: &[],
        takes: Some(schema::<NewPolicy>),
        status: 201,
        answers: (JSON, Some(schema::<Policy>)),
        handle: |verbs, call| {
            let new: NewPolicy = call.secret_body()?;
            Ok(json(201, &verbs.virtualization.add_policy(&new)?))
        },
    },
    Route {
        method: Method::Get,
        path: "/v1/policies/{policy}",
        about: "Show a policy",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Policy>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.policy(call.name("policy"))?)),
    },
    Route {
        method: Method::Patch,
        path: "/v1/policies/{policy}",
        about: "Change a policy, or what it is applied to",
        query: &[],
        takes: Some(schema::<PolicyChange>),
        status: 200,
        answers: (JSON, Some(schema::<Policy>)),
        handle: |verbs, call| {
            let change: PolicyChange = call.secret_body()?;
            Ok(json(200, &verbs.virtualization.set_policy(call.name("policy"), &change)?))
        },
    },
    Route {
        method: Method::Delete,
        path: "/v1/policies/{policy}",
        about: "Remove a policy",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Policy>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.remove_policy(call.name("policy"))?)),
    },
    Route {
        method: Method::Post,
        path: "/v1/policies/{policy}/run",
        about: "Run a policy now",
        query: &[Query {
            name: "dry_run",
            kind: QueryKind::Switch,
            about: "Whether to say only what it would do (false).",
        }],
        takes: None,
        status: 202,
        answers: (JSON, Some(schema::<PolicyRun>)),
        handle: |verbs, call| {
            let is_dry = call.query_switch("dry_run", false)?;
            Ok(json(202, &verbs.virtualization.run_policy(call.name("policy"), is_dry)?))
        },
    },
];
