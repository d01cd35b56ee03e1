//! Hooks and bookmarks of dSources and VDBs.

use cow_api::v1::{Bookmark, Bookmarks, Hook, Hooks, NewBookmark, NewHook};

use crate::control::http::Method;
use crate::control::route::{JSON, Route, json, schema};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/sources/{source}/hooks",
        about: "List the hooks of a dSource or VDB",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Hooks>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.hooks(call.name("source"))?)),
    },
    Route {
        method: Method::Post,
        path: "/v1/sources/{source}/hooks",
        about: "Have a script run around what is done with a dSource or VDB",
        query: &[],
        takes: Some(schema::<NewHook>),
        status: 201,
        answers: (JSON, Some(schema::<Hook>)),
        handle: |verbs, call| {
            let new: NewHook = call.secret_body()?;
            Ok(json(201, &verbs.virtualization.add_hook(call.name("source"), &new)?))
        },
    },
    Route {
        method: Method::Get,
        path: "/v1/sources/{source}/hooks/{hook}",
        about: "Show a hook with its script",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Hook>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.hook(call.name("source"), call.name("hook"))?)),
    },
    Route {
        method: Method::Delete,
        path: "/v1/sources/{source}/hooks/{hook}",
        about: "Remove a hook",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Hook>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.remove_hook(call.name("source"), call.name("hook"))?)),
    },
    Route {
        method: Method::Get,
        path: "/v1/bookmarks",
        about: "List bookmarks",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Bookmarks>)),
        handle: |verbs, _| Ok(json(200, &verbs.virtualization.bookmarks()?)),
    },
    Route {
        method: Method::Post,
        path: "/v1/bookmarks",
        about: "Give a snapshot of a dSource or VDB a name, which keeps it",
        query: &[],
        takes: Some(schema::<NewBookmark>),
        status: 201,
        answers: (JSON, Some(schema::<Bookmark>)),
        handle: |verbs, call| Ok(json(201, &verbs.virtualization.add_bookmark(&call.body()?)?)),
    },
    Route {
        method: Method::Delete,
        path: "/v1/bookmarks/{bookmark}",
        about: "Take a snapshot's name away",
        query: &[],
        takes: None,
        status: 200,
        answers: (JSON, Some(schema::<Bookmark>)),
        handle: |verbs, call| Ok(json(200, &verbs.virtualization.remove_bookmark(call.name("bookmark"))?)),
    },
];
