//! What is sound is found sound, and what is damaged is found, named, and nothing else with it.

mod damage;
pub mod fixture;
mod history;
mod sanity;
