//! Differences applied to the older listing give the newer one, and none is needless.

mod cost;
mod history;
mod listing;
mod world;
