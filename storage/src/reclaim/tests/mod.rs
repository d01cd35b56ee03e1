//! Random histories of datasets against a model that keeps every holder's full set of pointers.

mod damage;
mod history;
pub mod world;
