//! All routes, a file for each noun.

mod actions;
mod datasets;
mod destroyed;
mod environments;
mod hooks;
mod jobs;
mod locks;
mod meta;
mod mounts;
mod plugins;
mod policies;
mod scrub;
mod shares;
mod snapshots;
mod sources;
mod space;

use crate::control::route::Route;

/// All routes.
pub fn all() -> impl Iterator<Item = &'static Route> {
    let nouns: [&'static [Route]; 16] = [
        meta::ROUTES,
        datasets::ROUTES,
        snapshots::ROUTES,
        destroyed::ROUTES,
        shares::ROUTES,
        space::ROUTES,
        scrub::ROUTES,
        mounts::ROUTES,
        locks::ROUTES,
        jobs::ROUTES,
        environments::ROUTES,
        plugins::ROUTES,
        sources::ROUTES,
        hooks::ROUTES,
        policies::ROUTES,
        actions::ROUTES,
    ];
    nouns.into_iter().flatten()
}
